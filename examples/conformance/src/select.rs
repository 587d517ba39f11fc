//! Which cases are run.

/// The prefixes of `--only`. Without any, everything is run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    prefixes: Vec<Prefix>,
}

#[derive(Debug, Clone)]
struct Prefix {
    text: String,
    is_met: bool,
}

impl Selection {
    /// The selection of these prefixes.
    #[must_use]
    pub fn new(prefixes: Vec<String>) -> Self {
        let unmet = |text| Prefix {
            text,
            is_met: false,
        };
        Self {
            prefixes: prefixes.into_iter().map(unmet).collect(),
        }
    }

    /// Whether a case of these spellings is to be run. Each prefix that asks for it counts as met.
    pub fn takes(&mut self, spellings: &[String]) -> bool {
        let mut is_taken = self.prefixes.is_empty();
        for prefix in &mut self.prefixes {
            if spellings
                .iter()
                .any(|spelling| spelling.starts_with(&prefix.text))
            {
                prefix.is_met = true;
                is_taken = true;
            }
        }
        is_taken
    }

    /// Prefixes that no case has met.
    #[must_use]
    pub fn idle(self) -> Vec<String> {
        let idle = self.prefixes.into_iter().filter(|prefix| !prefix.is_met);
        idle.map(|prefix| prefix.text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_prefixes_everything_is_taken() {
        let mut selection = Selection::default();
        assert!(selection.takes(&spellings(&["anything"])));
        assert!(selection.idle().is_empty());
    }

    #[test]
    fn a_prefix_takes_what_begins_with_it_in_any_spelling() {
        let mut selection = Selection::new(spellings(&["jwt", "room-f", "unit.ago"]));
        assert!(selection.takes(&spellings(&[
            "jwt_verify/at issue",
            "unit.jwt_verify/at issue"
        ])));
        assert!(selection.takes(&spellings(&["room-full"])));
        assert!(!selection.takes(&spellings(&["room-threshold"])));
        assert_eq!(selection.clone().idle(), ["unit.ago"]);
        assert!(selection.takes(&spellings(&["agora_uid/0", "unit.agora_uid/0"])));
        assert!(selection.idle().is_empty());
    }
}
