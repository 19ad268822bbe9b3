//! Subscriptions: which events an endpoint takes.

/// The name that stands for every event type, where a contract allows it.
pub const ALL_EVENTS: &str = "*";

/// Which event types an endpoint takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    /// All of them, whatever is added later.
    #[default]
    All,
    /// The types that are named, and every type of the groups that are named, also one that
    /// is added later.
    Chosen { types: Vec<String>, groups: Vec<String> },
}

impl Subscription {
    /// A subscription as requests and columns write it: two lists, each of which may be left
    /// out. Without both it takes everything.
    pub fn new(types: Option<Vec<String>>, groups: Option<Vec<String>>) -> Subscription {
        match (types, groups) {
            (None, None) => Subscription::All,
            (types, groups) => Subscription::Chosen {
                types: types.unwrap_or_default(),
                groups: groups.unwrap_or_default(),
            },
        }
    }

    /// The types it names. `None` where it names none because it takes all, or only groups.
    pub fn types(&self) -> Option<&[String]> {
        match self {
            Subscription::All => None,
            Subscription::Chosen { types, groups } if types.is_empty() && !groups.is_empty() => {
                None
            }
            Subscription::Chosen { types, .. } => Some(types),
        }
    }

    /// The groups it names. `None` where it names none.
    pub fn groups(&self) -> Option<&[String]> {
        match self {
            Subscription::Chosen { groups, .. } if !groups.is_empty() => Some(groups),
            _ => None,
        }
    }

    /// Whether it takes an event of this type, which may belong to a group.
    pub fn takes(&self, event_type: &str, group: Option<&str>) -> bool {
        let Subscription::Chosen { types, groups } = self else { return true };
        types.iter().any(|wanted| wanted == event_type || wanted == ALL_EVENTS)
            || group.is_some_and(|group| groups.iter().any(|wanted| wanted == group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(types: &[&str], groups: &[&str]) -> Subscription {
        let owned = |list: &[&str]| Some(list.iter().map(|&name| name.to_owned()).collect());
        Subscription::new(owned(types), owned(groups))
    }

    #[test]
    fn types_and_groups_add_up() {
        let both = chosen(&["room.solved"], &["contact"]);
        for (event_type, group, taken) in [
            ("room.solved", Some("room"), true),
            ("room.solved", None, true),
            ("room.opened", Some("room"), false),
            ("contact.created", Some("contact"), true),
            // Its name alone doesn't put it into the group.
            ("contact.created", None, false),
            ("contact", Some("contacts"), false),
        ] {
            assert_eq!(both.takes(event_type, group), taken, "{event_type} of {group:?}");
        }
        assert!(chosen(&["*"], &[]).takes("anything", None));
        assert!(!chosen(&[], &["*"]).takes("anything", Some("any")));
    }

    #[test]
    fn without_a_choice_it_takes_everything_and_with_an_empty_one_nothing() {
        assert!(Subscription::new(None, None).takes("anything", None));
        assert!(!chosen(&[], &[]).takes("anything", Some("any")));
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let owned = |list: Option<&[String]>| list.map(<[String]>::to_vec);
        for subscription in [
            Subscription::All,
            chosen(&[], &[]),
            chosen(&["a"], &[]),
            chosen(&[], &["g"]),
            chosen(&["a", "*"], &["g", "h"]),
        ] {
            let again =
                Subscription::new(owned(subscription.types()), owned(subscription.groups()));
            assert_eq!(again, subscription);
        }
    }
}
