//! The last retained message of each topic, bounded in bytes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use crate::topic;
use crate::wire::Message;

/// A message and the moment at which its lifetime ends.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) message: Arc<Message>,
    pub(crate) expires: Option<Instant>,
}

impl Kept {
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|moment| now < moment)
    }
}

/// Retained messages in the order of their topics.
#[derive(Debug)]
pub(crate) struct Retained {
    messages: BTreeMap<Box<[u8]>, Kept>,
    bytes: usize,
    max_bytes: usize,
}

impl Retained {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { messages: BTreeMap::new(), bytes: 0, max_bytes }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Keeps, replaces or, with an empty payload, forgets the message of its topic. `false` when there is no
    /// room: then the topic keeps nothing, since an outdated value would be worse than none.
    pub(crate) fn store(&mut self, kept: Kept) -> bool {
        let topic = kept.message.topic();
        if let Some(old) = self.messages.remove(topic) {
            self.bytes -= weight(&old);
        }
        if kept.message.payload().is_empty() {
            return true;
        }
        if self.bytes + weight(&kept) > self.max_bytes {
            return false;
        }
        self.bytes += weight(&kept);
        self.messages.insert(topic.into(), kept);
        true
    }

    /// Each living message that `filter` matches, in the order of topics.
    pub(crate) fn matching<'a>(&'a self, filter: &'a [u8], now: Instant) -> impl Iterator<Item = &'a Kept> {
        let prefix = topic::literal_prefix(filter);
        self.messages
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(topic, _)| topic.starts_with(prefix))
            .filter(move |(topic, kept)| topic::matches(filter, topic) && kept.is_alive(now))
            .map(|(_, kept)| kept)
    }
}

fn weight(kept: &Kept) -> usize {
    // The key is a second copy of the topic.
    kept.message.weight() + kept.message.topic().len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::Qos;

    fn kept(topic: &str, payload: &str, expires: Option<Instant>) -> Kept {
        let message = Message::new(topic.as_bytes(), &[], payload.as_bytes(), Qos::AtMostOnce, true, None);
        Kept { message: Arc::new(message), expires }
    }

    fn topics(retained: &Retained, filter: &str, now: Instant) -> Vec<String> {
        retained
            .matching(filter.as_bytes(), now)
            .map(|kept| String::from_utf8_lossy(kept.message.topic()).into_owned())
            .collect()
    }

    #[test]
    fn the_last_message_wins_and_an_empty_one_erases() {
        let now = Instant::now();
        let mut retained = Retained::new(1 << 20);
        for topic in ["a", "a/b", "a/c", "ab", "b"] {
            assert!(retained.store(kept(topic, "1", None)));
        }
        assert!(retained.store(kept("a/b", "2", None)));
        assert_eq!(topics(&retained, "a/#", now), ["a", "a/b", "a/c"]);
        assert_eq!(topics(&retained, "+", now), ["a", "ab", "b"]);
        assert_eq!(retained.matching(b"a/b", now).next().expect("kept").message.payload(), b"2");
        assert!(retained.store(kept("a/b", "", None)));
        assert_eq!(topics(&retained, "a/b", now), Vec::<String>::new());
    }

    #[test]
    fn a_full_store_refuses_and_forgets_the_outdated_value() {
        let now = Instant::now();
        let mut retained = Retained::new(kept("a", "1", None).message.weight() + 8);
        assert!(retained.store(kept("a", "1", None)));
        assert!(!retained.store(kept("b", "1", None)));
        assert!(!retained.store(kept("a", &"x".repeat(99), None)));
        assert_eq!(retained.len(), 0);
        assert_eq!(retained.bytes, 0, "bytes leak");
        assert!(topics(&retained, "#", now).is_empty());
    }

    #[test]
    fn an_expired_message_is_not_delivered() {
        let now = Instant::now();
        let mut retained = Retained::new(1 << 20);
        retained.store(kept("a", "1", Some(now + Duration::from_secs(1))));
        assert_eq!(topics(&retained, "a", now).len(), 1);
        assert_eq!(topics(&retained, "a", now + Duration::from_secs(1)).len(), 0);
    }
}
