//! Undoes the line wrapping of comments in the texts of the `OpenAPI` document.

use serde_json::Value;

/// Puts each paragraph of the document's texts on one line. Lists and tables keep theirs.
pub fn join(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "summary" || name == "description" => {
                        *text = joined(text);
                    }
                    member => join(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(join),
        _ => {}
    }
}

fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut before = "";
    for line in text.split('\n') {
        let is_on_its_own = line.is_empty() || line.starts_with([' ', '-', '|', '*', '#']);
        if !joined.is_empty() {
            joined.push(if is_on_its_own || before.is_empty() { '\n' } else { ' ' });
        }
        joined.push_str(line);
        before = line;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraph_is_one_line_and_lists_keep_theirs() {
        assert_eq!(joined("one\ntwo\n\nthree\nfour"), "one two\n\nthree four");
        assert_eq!(joined("these:\n\n- one\n- two"), "these:\n\n- one\n- two");
    }
}
