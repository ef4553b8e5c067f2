//! Where two configurations differ.

use serde_json::Value;

/// Characters of a value that a message shows at most.
const SHOWN: usize = 60;

/// A field in which two configurations differ, and what each says.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    /// The names that lead to it, with dots between.
    pub(super) field: String,
    /// What the first says.
    pub(super) a: String,
    /// What the second says.
    pub(super) b: String,
}

/// The first field in which `a` and `b`, which `name` leads to, differ.
pub(super) fn first_difference(name: &str, a: &Value, b: &Value) -> Option<Difference> {
    let join = |key: &str| {
        if name.is_empty() {
            key.to_owned()
        } else {
            format!("{name}.{key}")
        }
    };
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let value = |map: &serde_json::Map<_, _>| map.get(key).cloned().unwrap_or_default();
                first_difference(&join(key), &value(a), &value(b))
            })
        }
        (a, b) => (a != b).then(|| Difference {
            field: name.to_owned(),
            a: shown(a),
            b: shown(b),
        }),
    }
}

/// A value for a message, shortened if it is long.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(field: &str, a: &str, b: &str) -> Option<Difference> {
        let [field, a, b] = [field, a, b].map(str::to_owned);
        Some(Difference { field, a, b })
    }

    #[test]
    fn first_difference_names_the_path_of_the_field_and_both_values() {
        let a = json!({"model": {"d": 64, "mode": "dual"}, "seed": 1});
        let b = json!({"model": {"d": 64, "mode": "vision_only"}, "seed": 2});
        assert_eq!(
            first_difference("", &a, &b),
            difference("model.mode", "dual", "vision_only")
        );
        assert_eq!(first_difference("", &a, &a), None);
        assert_eq!(
            first_difference("", &json!({"a": 1, "seed": 1}), &json!({"a": 1})),
            difference("seed", "1", "none")
        );
    }

    #[test]
    fn long_values_are_shortened() {
        let long = "\u{fc}".repeat(100);
        let found = first_difference("x", &json!(long), &json!(1)).unwrap();
        assert_eq!(found.a, format!("{}..", "\u{fc}".repeat(60)));
    }
}
