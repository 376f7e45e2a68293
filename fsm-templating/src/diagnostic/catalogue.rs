//! Every error code with its long explanation, for `explain`.

use super::Code;

/// What `explain` prints for a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// What it means, in one line.
    pub title: &'static str,
    /// Why it is an error and what to do.
    pub text: &'static str,
}

/// The codes of this crate: documents E00xx, templates E01xx, locations E02xx, rows E03xx.
/// Other crates define their own from E05xx on.
pub mod codes {
    use super::Code;
    /// The text is not valid YAML or JSON.
    pub const SYNTAX: Code = Code(1);
    /// A key stands twice in one mapping.
    pub const DUPLICATE_KEY: Code = Code(2);
    /// A number can't be held.
    pub const BAD_NUMBER: Code = Code(3);
    /// An alias can't be expanded.
    pub const BAD_ALIAS: Code = Code(4);
    /// A YAML tag is not supported.
    pub const UNKNOWN_TAG: Code = Code(5);
    /// A key is not a plain text.
    pub const BAD_KEY: Code = Code(6);
    /// A file holds more than one document.
    pub const MANY_DOCUMENTS: Code = Code(7);
    /// A document is nested too deep or too large.
    pub const TOO_LARGE: Code = Code(8);
    /// A key is not known here.
    pub const UNKNOWN_KEY: Code = Code(10);
    /// A value has the wrong type.
    pub const WRONG_TYPE: Code = Code(11);
    /// A required key is missing.
    pub const MISSING_KEY: Code = Code(12);
    /// A name is not one of the known ones.
    pub const UNKNOWN_VARIANT: Code = Code(13);
    /// A value is outside its limits.
    pub const OUT_OF_RANGE: Code = Code(14);
    /// A value fits none of the allowed forms.
    pub const NO_ALTERNATIVE: Code = Code(15);
    /// A template can't be understood.
    pub const TEMPLATE_SYNTAX: Code = Code(101);
    /// A template is written in Go style.
    pub const GO_STYLE: Code = Code(102);
    /// A template uses a variable that is not there.
    pub const UNKNOWN_VARIABLE: Code = Code(103);
    /// A parameter of the template is not given.
    pub const MISSING_PARAMETER: Code = Code(104);
    /// A variable is given that the template does not declare.
    pub const UNKNOWN_PARAMETER: Code = Code(105);
    /// The value of a parameter breaks its declaration.
    pub const BAD_PARAMETER: Code = Code(106);
    /// The declaration of a parameter is wrong.
    pub const BAD_DECLARATION: Code = Code(107);
    /// A secret can't be changed by a template.
    pub const SECRET_CHANGED: Code = Code(108);
    /// A template does too much.
    pub const TEMPLATE_LIMIT: Code = Code(109);
    /// A template mark stands in a jq program.
    pub const TEMPLATE_IN_JQ: Code = Code(110);
    /// A user variable has a reserved name.
    pub const RESERVED_NAME: Code = Code(111);
    /// A filter, test or function does not exist.
    pub const UNKNOWN_FUNCTION: Code = Code(112);
    /// An expression of a template fails.
    pub const TEMPLATE_FAILED: Code = Code(113);
    /// A rendered key is not usable.
    pub const BAD_RENDERED_KEY: Code = Code(114);
    /// The result of a template can't be held.
    pub const BAD_RESULT: Code = Code(115);
    /// A variable or parameter is never used.
    pub const UNUSED_VARIABLE: Code = Code(116);
    /// A variable hides an inherited one.
    pub const SHADOWED_VARIABLE: Code = Code(117);
    /// A statement is not offered in templates.
    pub const FORBIDDEN_STATEMENT: Code = Code(118);
    /// A secret is not well formed.
    pub const BAD_SECRET: Code = Code(119);
    /// A template mark stands where nothing is rendered.
    pub const TEMPLATE_MARK_IGNORED: Code = Code(120);
    /// A location level is not known.
    pub const BAD_LEVEL: Code = Code(201);
    /// A location level can't be part of a topic.
    pub const BAD_SEGMENT: Code = Code(202);
    /// A location level of the parent is overridden.
    pub const LOCATION_OVERRIDE: Code = Code(203);
    /// The rows of a for_each can't be read.
    pub const BAD_ROWS: Code = Code(301);
    /// Two rows of a for_each give the same name.
    pub const NAME_COLLISION: Code = Code(302);
    /// A rendered name is not a valid name.
    pub const BAD_NAME: Code = Code(303);
    /// A for_each entry is not well formed.
    pub const BAD_FOR_EACH: Code = Code(304);
}

/// The explanations of this crate, in the order of the codes.
pub static CATALOGUE: &[Explanation] = &[
    Explanation {
        code: codes::SYNTAX,
        title: "the text is not valid YAML or JSON",
        text: "The parser stopped here, so nothing after this point was looked at. Common causes: a tab \
               used for indentation, a `:` inside an unquoted text, a missing quote or bracket. Put texts \
               that hold `: `, ` #` or begin with one of `{[&*!|>%@` into quotes.",
    },
    Explanation {
        code: codes::DUPLICATE_KEY,
        title: "a key stands twice in one mapping",
        text: "YAML forbids it, and taking one of the two silently would drop the other. Keep one of them; \
               both places are named. A merge (`<<`) may repeat a key: the explicit one wins.",
    },
    Explanation {
        code: codes::BAD_NUMBER,
        title: "a number can't be held",
        text: "Infinity and NaN have no form in JSON, and integers must fit 64 bits. Write the number in \
               quotes if it is meant as text.",
    },
    Explanation {
        code: codes::BAD_ALIAS,
        title: "an alias can't be expanded",
        text: "`*name` repeats what `&name` marked. It must come after it, may not stand inside it, and all \
               aliases together may not make the document much larger than it is written; a few short lines \
               could fill the memory otherwise.",
    },
    Explanation {
        code: codes::UNKNOWN_TAG,
        title: "a YAML tag is not supported",
        text: "Only the tags of the YAML core schema (`!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, \
               `!!seq`, `!!map`) have a meaning here. Remove the tag.",
    },
    Explanation {
        code: codes::BAD_KEY,
        title: "a key is not a plain text",
        text: "Keys must be texts or numbers. The most frequent cause is a template mark without quotes: \
               YAML reads `port: {{ port }}` as a mapping whose key is a mapping. Write `port: \"{{ port \
               }}\"`; the value keeps its type.",
    },
    Explanation {
        code: codes::MANY_DOCUMENTS,
        title: "a file holds more than one document",
        text: "After `---` a new YAML document begins. A config is one document per file: split the file, \
               the parts of a directory are merged.",
    },
    Explanation {
        code: codes::TOO_LARGE,
        title: "a document is nested too deep or too large",
        text: "The limits protect the daemon against documents that are made to exhaust it. Split the \
               document.",
    },
    Explanation {
        code: codes::UNKNOWN_KEY,
        title: "a key is not known here",
        text: "A misspelt key that was ignored would silently do nothing, so it is an error. The help names \
               the nearest known key, or all of them.",
    },
    Explanation {
        code: codes::WRONG_TYPE,
        title: "a value has the wrong type",
        text: "For instance a text where a number is expected. `\"502\"` in quotes is a text, `502` a \
               number; `yes` and `on` are texts, only `true` and `false` are booleans.",
    },
    Explanation {
        code: codes::MISSING_KEY,
        title: "a required key is missing",
        text: "The place shown is the mapping that lacks it. The help says what the key is for, where the type has a description.",
    },
    Explanation {
        code: codes::UNKNOWN_VARIANT,
        title: "a name is not one of the known ones",
        text: "Here one of a fixed set of names is expected, as a text or as the only key of a mapping \
               (`input: {mqtt: {…}}`).",
    },
    Explanation {
        code: codes::OUT_OF_RANGE,
        title: "a value is outside its limits",
        text: "The message names the limit: a least or greatest number, length or count.",
    },
    Explanation {
        code: codes::NO_ALTERNATIVE,
        title: "a value fits none of the allowed forms",
        text: "Several forms are allowed here, and the value is like none of them. The message names them.",
    },
    Explanation {
        code: codes::TEMPLATE_SYNTAX,
        title: "a template can't be understood",
        text: "Inside `{{ … }}` stands one expression: `{{ ip }}`, `{{ port + 1 }}`, `{{ name | slug }}`. \
               To write `{{` itself, use `{{ '{{' }}`, or `{% raw %}…{% endraw %}`.",
    },
    Explanation {
        code: codes::GO_STYLE,
        title: "a template is written in Go style",
        text: "`{{ .IP }}` is the style of Go templates. Here a variable is written without the dot, `{{ ip \
               }}`, and names are compared with upper and lower case.",
    },
    Explanation {
        code: codes::UNKNOWN_VARIABLE,
        title: "a template uses a variable that is not there",
        text: "Nothing of that name is among the entry's own variables, the inherited ones, the parameters \
               of the template with a default, and `global.*`, `internal.*`, `location.*`, `location_path`, \
               `location_topic`, `name`. An undefined variable never becomes an empty text. Where it may be \
               absent, write `{{ x | default('…') }}`.",
    },
    Explanation {
        code: codes::MISSING_PARAMETER,
        title: "a parameter of the template is not given",
        text: "The template declares the parameter without a default, so each use must set it under \
               `variables`.",
    },
    Explanation {
        code: codes::UNKNOWN_PARAMETER,
        title: "a variable is given that the template does not declare",
        text: "The template has a list of parameters, and this variable is not on it: it would do nothing. \
               Most often it is a typing error.",
    },
    Explanation {
        code: codes::BAD_PARAMETER,
        title: "the value of a parameter breaks its declaration",
        text: "Type, enum, pattern, min or max of the declaration. The value itself is not shown, because \
               it may be private; the name and the place where it was set are.",
    },
    Explanation {
        code: codes::BAD_DECLARATION,
        title: "the declaration of a parameter is wrong",
        text: "A parameter is declared as `ip: {type: string, default: …, required: …, enum: […], pattern: \
               …, min: …, max: …, description: …}`; type is one of string, integer, number, boolean, list, \
               map, any. A default must itself satisfy the rest, and may not hold a template mark. \
               `pattern` needs type string; min and max bound a number, or the length of a text or list.",
    },
    Explanation {
        code: codes::SECRET_CHANGED,
        title: "a secret can't be changed by a template",
        text: "A secret is only a reference until a worker resolves it, so a template can place it, alone or inside a \
               text, but not pass it through a filter or an operator, and not use it as a key. Comparing it with a text \
               is always false.",
    },
    Explanation {
        code: codes::TEMPLATE_LIMIT,
        title: "a template does too much",
        text: "A render has a limited number of steps, nesting and output, so that no template can stop or \
               fill the daemon. Move the work into a variable or into the pipeline.",
    },
    Explanation {
        code: codes::TEMPLATE_IN_JQ,
        title: "a template mark stands in a jq program",
        text: "jq programs run per message and get variables as data, never as text that is pasted into the \
               program: write `$vars.ip`, `$location_topic`, and so on, instead of `{{ ip }}`.",
    },
    Explanation {
        code: codes::RESERVED_NAME,
        title: "a user variable has a reserved name",
        text: "The name belongs to the template scope itself, so the variable could never be read. Choose \
               another name.",
    },
    Explanation {
        code: codes::UNKNOWN_FUNCTION,
        title: "a filter, test or function does not exist",
        text: "The help names the nearest known one. There is no access to the environment, files or the \
               network from a template; the environment comes in only through `${NAME}` when the file is \
               loaded, and through secrets.",
    },
    Explanation {
        code: codes::TEMPLATE_FAILED,
        title: "an expression of a template fails",
        text: "For instance adding a text to a number, or taking an element of something that has none. The \
               values are not shown, because they may be private; their types are.",
    },
    Explanation {
        code: codes::BAD_RENDERED_KEY,
        title: "a rendered key is not usable",
        text: "A key of a mapping was rendered to something that is not a text or number, or to a name that \
               is already there.",
    },
    Explanation {
        code: codes::BAD_RESULT,
        title: "the result of a template can't be held",
        text: "The result must be expressible in JSON: no infinite numbers, no bytes, no integers beyond 64 \
               bits.",
    },
    Explanation {
        code: codes::UNUSED_VARIABLE,
        title: "a variable or parameter is never used",
        text: "It has no effect, which is most often a typing error in the template or a remainder. Remove it, or use it.",
    },
    Explanation {
        code: codes::SHADOWED_VARIABLE,
        title: "a variable hides an inherited one",
        text: "The entry's own variable wins over one of the same name that it would inherit. Rename it if \
               that is not meant.",
    },
    Explanation {
        code: codes::FORBIDDEN_STATEMENT,
        title: "a statement is not offered in templates",
        text: "Only `if`, `for` and `raw` are. Without assignments and macros a template stays a pure, \
               bounded description.",
    },
    Explanation {
        code: codes::BAD_SECRET,
        title: "a secret is not well formed",
        text: "A secret is `{secret: {env: NAME}}` or `{secret: {file: PATH}}`, with one of the two and \
               nothing else.",
    },
    Explanation {
        code: codes::TEMPLATE_MARK_IGNORED,
        title: "a template mark stands where nothing is rendered",
        text: "Only `templates`, the bodies of bridges and dataflows, the steps of workflows, and the name, \
               variables and location of `for_each` entries are rendered. Here `{{` is plain text.",
    },
    Explanation {
        code: codes::BAD_LEVEL,
        title: "a location level is not known",
        text: "Levels are enterprise, site, area, line, cell, or a number from 0; 0 is the same as \
               enterprise, 4 the same as cell.",
    },
    Explanation {
        code: codes::BAD_SEGMENT,
        title: "a location level can't be part of a topic",
        text: "A level becomes one segment of a topic. It may not be empty, hold `/`, `+`, `#` or control \
               characters, or begin or end with a space.",
    },
    Explanation {
        code: codes::LOCATION_OVERRIDE,
        title: "a location level of the parent is overridden",
        text: "The levels of the agent are authoritative: a bridge may add levels, or fill one that the \
               agent left empty, never replace one. Both places are named.",
    },
    Explanation {
        code: codes::BAD_ROWS,
        title: "the rows of a for_each can't be read",
        text: "A CSV file needs a header line and as many fields in each row; a YAML or JSON file must be a \
               list.",
    },
    Explanation {
        code: codes::NAME_COLLISION,
        title: "two rows of a for_each give the same name",
        text: "Names are identities: two children of one name can't exist. Both rows are named. Use a \
               column that is different in each row.",
    },
    Explanation {
        code: codes::BAD_NAME,
        title: "a rendered name is not a valid name",
        text: "Names are lower case letters, digits, `-` and `_`, at most 63 bytes. `{{ item.id | slug }}` \
               makes one out of any text.",
    },
    Explanation {
        code: codes::BAD_FOR_EACH,
        title: "a for_each entry is not well formed",
        text: "`for_each` is a list, or `{file: PATH}`; beside it stand `name`, `template`, `variables`, \
               `location`, `enabled`.",
    },
];

/// Looks a code up here and in the tables of other crates.
///
/// ```
/// use fsm_templating::{codes, explain};
/// assert!(explain(codes::GO_STYLE, &[]).unwrap().text.contains("without the dot"));
/// ```
#[must_use]
pub fn explain(code: Code, others: &[&'static [Explanation]]) -> Option<&'static Explanation> {
    std::iter::once(&CATALOGUE).chain(others).flat_map(|table| table.iter()).find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }
}
