"""Samples for privacy.yaml: each rule finds the lines that say so, and no other."""

import sys
import traceback


def read(sent: bytes) -> None:
    try:
        parse(sent)
    except ValueError as error:
        # ruleid: exception-text-written
        log.warning("cannot read: %s", error)
        # ruleid: exception-text-written
        log.warning("cannot read", reason=str(error))
        # ruleid: exception-text-written
        log.error(f"cannot read: {error}")
        # ok: exception-text-written
        log.warning("cannot read: %s", type(error).__name__)
        # ruleid: exception-text-answered
        raise BadRequest(str(error)) from None
    except KeyError as error:
        # ruleid: exception-text-answered
        raise BadRequest(f"body: {error}") from None
    except TypeError:
        # ok: exception-text-answered
        raise BadRequest("body: is not an object; write one") from None


def fail(error: Exception) -> None:
    # ruleid: exception-text-written
    log.error(repr(error))
    # ruleid: traceback-written
    log.exception("failed")
    # ruleid: traceback-written
    log.error("failed", exc_info=True)
    # ruleid: traceback-written
    log.error(traceback.format_exc())
    # ok: traceback-written
    log.error("failed at %s", traceback.extract_tb(error.__traceback__)[-1].lineno)
    # ruleid: exception-text-answered
    return Response(str(error))


def received() -> None:
    # ruleid: what-was-sent-written
    log.info("received %s", request.get_data())
    # ruleid: what-was-sent-written
    log.info("called", url=request.url)
    # ruleid: what-was-sent-written
    log.warning("refused", token=token)
    # ruleid: what-was-sent-written
    log.warning(f"refused {body}")
    # ok: what-was-sent-written
    log.info("answered", method=request.method, status=200)


def said() -> None:
    # ruleid: printed
    print("said")
    # ruleid: printed
    sys.stderr.write("said")
    # ok: printed
    click.echo("said")
