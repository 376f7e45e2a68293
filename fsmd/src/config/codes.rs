//! The error codes of the config file itself; those of documents, templates, locations and rows are fsm-templating's.

use fsm_templating::{Code, Explanation};

pub(super) const UNREADABLE: Code = Code(500);
pub(super) const NO_FILES: Code = Code(501);
pub(super) const DUPLICATE_SECTION: Code = Code(502);
pub(super) const UNSET: Code = Code(503);
pub(super) const BAD_VERSION: Code = Code(504);
pub(super) const DUPLICATE_NAME: Code = Code(505);
pub(super) const UNKNOWN_TEMPLATE: Code = Code(506);
pub(super) const UNKNOWN_KIND: Code = Code(507);
pub(super) const CYCLE: Code = Code(508);
pub(super) const UNKNOWN_SIBLING: Code = Code(509);
pub(super) const INVALID: Code = Code(510);
pub(super) const NOT_LOOPBACK: Code = Code(511);
pub(super) const UNUSED_VARIABLE: Code = Code(512);
pub(super) const SHADOWED_VARIABLE: Code = Code(513);
pub(super) const UNKNOWN_VARIABLE: Code = Code(514);
pub(super) const BAD_TOOL: Code = Code(515);
pub(super) const DUPLICATE_ID: Code = Code(516);
pub(super) const UNKNOWN_TOOL: Code = Code(517);
pub(super) const BAD_WORKFLOW: Code = Code(518);
pub(super) const NO_OTLP: Code = Code(521);
/// An address is taken by another program.
pub(crate) const PORT_IN_USE: Code = Code(520);

/// What `fsmd explain` says of the codes of the config file.
pub const CONFIG_CODES: &[Explanation] = &[
    Explanation {
        code: UNREADABLE,
        title: "a file can't be read",
        text: "The config, or a file that it names, is not there or may not be read by this user. Paths in a config are \
               relative to the file that names them.",
    },
    Explanation {
        code: NO_FILES,
        title: "a folder holds no config",
        text: "A config is one file, or a folder whose files *.yaml, *.yml and *.json are merged.",
    },
    Explanation {
        code: DUPLICATE_SECTION,
        title: "two files of a folder define the same thing",
        text: "Lists of several files are joined and maps are merged, but a key may be defined once only. Both places are \
               named.",
    },
    Explanation {
        code: UNSET,
        title: "an environment variable is not set",
        text: "`${NAME}` is read from the environment when the file is loaded. Set it, or give a default: \
               `${NAME:-default}`. A secret belongs into `{secret: {env: NAME}}` instead, which is never shown.",
    },
    Explanation {
        code: BAD_VERSION,
        title: "the version of the file is not known",
        text: "The first key of a config is `version: 1`. A file of a newer version needs a newer fsmd.",
    },
    Explanation {
        code: DUPLICATE_NAME,
        title: "two entries have the same name",
        text: "Bridges, dataflows and workers are siblings under the agent, so their names must differ. Both places are \
               named.",
    },
    Explanation {
        code: UNKNOWN_TEMPLATE,
        title: "a bridge uses a template that is not there",
        text: "Templates are declared under `templates:` by name.",
    },
    Explanation {
        code: UNKNOWN_KIND,
        title: "a worker is of a kind that is not there",
        text: "The kinds that this fsmd knows are listed by the message. A kind may need a feature that this build lacks.",
    },
    Explanation {
        code: CYCLE,
        title: "entries wait for each other",
        text: "`depends_on` says who has to be there first. In a cycle nobody could start. Remove one of the printed edges.",
    },
    Explanation {
        code: UNKNOWN_SIBLING,
        title: "an entry depends on one that is not there",
        text: "`depends_on` names siblings: entries of the same level.",
    },
    Explanation {
        code: INVALID,
        title: "a config does not fit its kind",
        text: "What is written, or what a template was rendered to, is not what the kind takes. The message names the field.",
    },
    Explanation {
        code: NOT_LOOPBACK,
        title: "an address is reachable from outside",
        text: "This version serves loopback addresses only (127.0.0.1, ::1): there is no TLS and no token yet.",
    },
    Explanation {
        code: UNUSED_VARIABLE,
        title: "a variable is set and not used",
        text: "The template that this bridge uses neither declares nor uses it. It may be a typing mistake.",
    },
    Explanation {
        code: SHADOWED_VARIABLE,
        title: "a variable hides a global one",
        text: "A variable of a bridge has the name of a global variable. Both can be used, as `x` and `global.x`; readers may \
               take one for the other.",
    },
    Explanation {
        code: UNKNOWN_VARIABLE,
        title: "a variable is not a parameter of the template",
        text: "The template declares its parameters, and this is none of them. Remove it, or declare it in `parameters`.",
    },
    Explanation {
        code: BAD_TOOL,
        title: "a tool can't be registered",
        text: "Its id, its command, its environment or a limit is not what one may be. Ids are names such as \
               `label-printer/print`, never paths; names of variables are of the form A-Z, 0-9 and _, and those that make \
               a program load other code (LD_*, DYLD_*, NODE_OPTIONS) are refused.",
    },
    Explanation {
        code: DUPLICATE_ID,
        title: "two tools or two workflows have the same id",
        text: "A call names what it runs by its id, so ids must differ. Both places are named.",
    },
    Explanation {
        code: UNKNOWN_TOOL,
        title: "a step uses a tool that is not there",
        text: "Tools are declared under `tools:` by their ids.",
    },
    Explanation {
        code: BAD_WORKFLOW,
        title: "a workflow can't be run",
        text: "Each step has a name and runs one thing: a tool, or an action of a worker.",
    },
    Explanation {
        code: NO_OTLP,
        title: "this build can't export spans",
        text: "`telemetry.otlp` names a collector, and this fsmd was built without the feature `otlp`: its libraries take longer \
               to build than most of the rest. Build it with `--features otlp` or `--features full`, or take the section out.",
    },
    Explanation {
        code: PORT_IN_USE,
        title: "an address is in use",
        text: "Another program listens there: perhaps another fsmd. Choose another `server.listen`, or stop the other one.",
    },
];
