"""Which commands there are: where each is, what it does, and what it can end with.

The program lists its commands from here, and imports the module of one when it is run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from presagio.cli.exit_status import ExitStatus


@dataclass(frozen=True)
class Entry:
    """A command.

    Attributes
    ----------
    place
        Its module in :mod:`presagio.cli.commands`, and the function.
    summary
        What it does, in a line: the first paragraph of its docstring.
    ends
        What it can end with besides what every command can. Of several, the first one is taken.
    """

    place: str
    summary: str
    ends: tuple[ExitStatus, ...] = ()


# Groups of commands, and what they are for.
GROUPS: Mapping[str, str] = {
    "ingest": "Put files of readings through the intake: presagio ingest FILE [--wait].",
    "alarms": "Cases of units of which a failure is expected: presagio alarms [--unit U] [--all].",
    "data": "Get readings: the real data set, or generated ones.",
    "spec": "Machine specs: draft one from data, check one, its JSON Schema for editors.",
    "fleet": "Fleets of a running deployment: add one, list them, remove one.",
    "account": "Accounts of the API, besides the two that are built in.",
}
COMMANDS: Mapping[str, Entry] = {
    "up": Entry("up:up", "Start the whole stack without Docker, and keep it running until Ctrl-C."),
    "down": Entry("stack:down", "Stop the stack; its data stay."),
    "status": Entry(
        "stack:status",
        "Show the services of the stack, and whether all of them are healthy.",
        (ExitStatus.NOT_HEALTHY,),
    ),
    "worker": Entry(
        "worker:worker",
        "Run tasks of Airflow on this host until Ctrl-C; `presagio up --workers` does so here.",
    ),
    "logs": Entry("stack:logs", "Print the log of a service.", (ExitStatus.NOT_FOUND,)),
    "receipts": Entry(
        "receipts:receipts",
        "List what became of the files: dates, counts, reasons, hashes.",
        (ExitStatus.NOT_FOUND,),
    ),
    "readings": Entry(
        "readings:readings",
        "Show a unit's newest readings, as the intake has filed them.",
        (ExitStatus.NOT_FOUND,),
    ),
    "units": Entry(
        "units:units",
        "List the units, the worst first: state, probability of a failure, newest reading.",
        (ExitStatus.NOT_FOUND,),
    ),
    "score-arrivals": Entry(
        "units:score_arrivals",
        "Score the files that were filed since the last time, and open and close alarms by them.",
        (ExitStatus.NOT_FOUND,),
    ),
    "train": Entry(
        "train:train",
        "Search, train, evaluate and register a model; it becomes champion if the gate lets it.",
        (ExitStatus.NOT_PROMOTED, ExitStatus.NOT_FOUND),
    ),
    "score": Entry(
        "score:score",
        "Score files of readings in bulk, with the champion or any other version.",
        (ExitStatus.NOT_FOUND,),
    ),
    "export-fallback": Entry(
        "train:export_fallback",
        "Make the artifact that ships with the package, from generated rows.",
    ),
    "models": Entry(
        "models:models",
        "List the newest model versions: aliases, metrics on the held-out test set, data.",
        (ExitStatus.NOT_FOUND,),
    ),
    "promote": Entry(
        "promote:promote",
        "Make a model version champion, if the gate lets it.",
        (ExitStatus.NOT_FOUND, ExitStatus.NOT_PROMOTED),
    ),
    "rollback": Entry(
        "promote:rollback",
        "Make the version before the champion champion again.",
        (ExitStatus.NOT_FOUND,),
    ),
    "card": Entry(
        "models:card",
        "Write the model card of a version as a page that stands alone; open it in any browser.",
        (ExitStatus.NOT_FOUND,),
    ),
    "serve": Entry(
        "serve:serve",
        "Serve the inference API until Ctrl-C; `presagio up` does so among the rest.",
    ),
    "console": Entry(
        "console:console",
        "Serve the web console until Ctrl-C; `presagio up` does so among the rest.",
    ),
    "token": Entry(
        "token:token",
        'Print a token for the API: curl -H "Authorization: Bearer $(presagio token)".',
    ),
    "feedback": Entry(
        "monitor:feedback",
        "Send outcomes back; without FILE, show how many alarms were right, by version.",
        (ExitStatus.NOT_FOUND, ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED),
    ),
    "events": Entry(
        "events:events",
        "Send failures, repairs and errors; without FILE, list those that are known.",
        (ExitStatus.NOT_FOUND, ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED),
    ),
    "drift": Entry(
        "monitor:drift",
        "Compare the newest readings with what the champion was trained on.",
        (ExitStatus.DRIFTED, ExitStatus.NOT_FOUND),
    ),
    "compact": Entry(
        "keeping:compact",
        "Put small files together: curated rows, recorded answers; each row counts once.",
        (ExitStatus.NOT_FOUND,),
    ),
    "retention": Entry(
        "keeping:retention",
        "Remove what is older than the settings say; nothing that a model in use stands on.",
        (ExitStatus.NOT_FOUND,),
    ),
    "exporter": Entry(
        "exporter:exporter",
        "Serve metrics of intake, champion and drift to Prometheus, on /metrics, until Ctrl-C.",
    ),
    "demo": Entry(
        "demo:demo",
        "Walk the whole loop on a running stack, and end on the console.",
    ),
    "spec draft": Entry(
        "spec:draft", "Write a first machine spec from files of readings, with questions in it."
    ),
    "spec check": Entry("spec:check", "Say in words, line by line, what is wrong with specs."),
    "spec schema": Entry("spec:schema", "Print the JSON Schema of machine specs, for editors."),
    "ingest upload": Entry(
        "ingest:upload",
        "Upload files to the incoming prefix; `presagio ingest FILE` is short for it.",
        (ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED, ExitStatus.NOT_FOUND),
    ),
    "ingest check": Entry(
        "ingest:check",
        "Check files on this machine as the intake would, without a stack.",
        (ExitStatus.QUARANTINED, ExitStatus.NOT_FOUND),
    ),
    "ingest sweep": Entry(
        "ingest:sweep",
        "File everything that waits below the incoming prefix, here and now, without Airflow.",
        (ExitStatus.QUARANTINED, ExitStatus.NOT_FOUND),
    ),
    "ingest verify": Entry(
        "ingest:verify",
        "Compare ledger and buckets, row by row and object by object.",
        (ExitStatus.DIFFERENCES, ExitStatus.NOT_FOUND),
    ),
    "ingest again": Entry(
        "ingest:again",
        "Check filed files again, as after a change of the machine spec; their receipts follow.",
        (ExitStatus.QUARANTINED, ExitStatus.NOT_FOUND),
    ),
    "ingest release": Entry(
        "ingest:release",
        "Let training go on although a file was refused whole; who and why go into the ledger.",
        (ExitStatus.NOT_FOUND,),
    ),
    "alarms list": Entry(
        "alarms:list_alarms",
        "List the open alarms, the newest first; `presagio alarms` is short for it.",
        (ExitStatus.NOT_FOUND,),
    ),
    "alarms show": Entry(
        "alarms:show",
        "Show an alarm with its diagnosis and all that happened to it.",
        (ExitStatus.NOT_FOUND,),
    ),
    "alarms close": Entry(
        "alarms:close",
        "Close an alarm with its outcome, from which the next training learns.",
        (ExitStatus.NOT_FOUND,),
    ),
    "alarms acknowledge": Entry(
        "alarms:acknowledge", "Note that you have seen an alarm.", (ExitStatus.NOT_FOUND,)
    ),
    "alarms assign": Entry(
        "alarms:assign", "Note who looks after an alarm.", (ExitStatus.NOT_FOUND,)
    ),
    "alarms note": Entry("alarms:note", "Add a note to an alarm.", (ExitStatus.NOT_FOUND,)),
    "data fetch": Entry(
        "fetch:fetch",
        "Download a real data set, checked by SHA-256: ai4i or turbofan.",
    ),
    "data generate": Entry(
        "generate:generate",
        "Generate labelled readings from the machine spec's recipe, any number in bounded memory.",
        (ExitStatus.NOT_FOUND,),
    ),
    "fleet add": Entry(
        "fleet:add",
        "Serve one more fleet, without a restart; or another spec of one that was added.",
    ),
    "fleet list": Entry(
        "fleet:list_all",
        "List the fleets, which model answers for each, and what is wrong with those at fault.",
    ),
    "fleet remove": Entry(
        "fleet:remove",
        "Serve a fleet no more that was added; its files, curated data and models stay.",
        (ExitStatus.NOT_FOUND,),
    ),
    "account add": Entry(
        "account:add_account", "Add an account, or give an existing one a new secret."
    ),
    "account list": Entry("account:list_accounts", "List the accounts that were added."),
    "account remove": Entry(
        "account:remove_account",
        "Remove an account; tokens that it has stay valid until they expire.",
        (ExitStatus.NOT_FOUND,),
    ),
}


def first_of(command: str, found: set[ExitStatus]) -> ExitStatus:
    """Of all that a command has met, return the status that it ends with."""
    ends = COMMANDS[command].ends
    return next((status for status in ends if status in found), ExitStatus.DONE)
