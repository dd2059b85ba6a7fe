// A CDS Hooks service on Express: a rule, and a card with the members of ours. node express.js PORT
const express = require("express");

const ALARMS = { "rf-bladder-bowel": "new", "rf-saddle": "new", "rf-sexual": "new" };
const CARD = require("./card.json");
const CALM = { summary: "No alarm", indicator: "info", source: { label: "Example" } };

const hasAlarm = (response) =>
  response.item.some((item) => item.linkId in ALARMS && item.answer.some((one) => one.valueCoding?.code === ALARMS[item.linkId]));

const app = express();
app.use(express.json());
app.post("/cds-services/screening", (request, answer) => {
  const alarm = request.body.prefetch.responses.entry.some((entry) => hasAlarm(entry.resource));
  answer.json({ cards: [alarm ? CARD : CALM] });
});
app.listen(Number(process.argv[2]), "127.0.0.1");
