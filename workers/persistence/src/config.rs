//! What a `persistence` node is told: how much of the past is kept, and when the store is looked after.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fsm_core::{Config, DeriveError, HumanDuration};
use fsm_store::Retention;
use jiff::civil::Weekday;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 24 hours, whatever clocks do: windows are in local time, periods are not.
const DAY: Duration = Duration::from_secs(86_400);

/// How much of the past is kept, and when the store is looked after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PersistenceConfig {
    /// How often the history is compacted.
    pub compact_every: HumanDuration,
    /// Changes, removed nodes and deleted documents are kept for this long.
    pub retention: HumanDuration,
    /// Changes beyond this number go, oldest first, however young they are.
    pub max_records: usize,
    /// Bytes of changes beyond this number go, oldest first, however young they are.
    pub max_bytes: usize,
    /// How often every record is looked at.
    pub maintain_every: HumanDuration,
    /// When that is preferably done.
    pub window: Window,
    /// In the window it is done up to this much before it is due.
    pub early: HumanDuration,
    /// Outside of the window it is done when it has been due for this long.
    pub late: HumanDuration,
    /// The time zone of the window, such as `Europe/Berlin`; the machine's own when nothing is said.
    pub time_zone: Option<String>,
}

impl Default for PersistenceConfig {
    /// W-10, and the caps of the store.
    fn default() -> Self {
        let store = Retention::default();
        Self {
            compact_every: Duration::from_secs(300).into(),
            retention: store.max_age.into(),
            max_records: store.max_records,
            max_bytes: store.max_bytes,
            maintain_every: (7 * DAY).into(),
            window: Window::default(),
            early: (2 * DAY).into(),
            late: (2 * DAY).into(),
            time_zone: None,
        }
    }
}

impl Config for PersistenceConfig {}

impl PersistenceConfig {
    /// With changes that are kept for this long.
    #[must_use]
    pub fn with_retention(mut self, time: impl Into<HumanDuration>) -> Self {
        self.retention = time.into();
        self
    }

    /// With at most so many changes.
    #[must_use]
    pub fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// With compactions this often.
    #[must_use]
    pub fn with_compact_every(mut self, time: impl Into<HumanDuration>) -> Self {
        self.compact_every = time.into();
        self
    }

    /// With maintenance this often.
    #[must_use]
    pub fn with_maintain_every(mut self, time: impl Into<HumanDuration>) -> Self {
        self.maintain_every = time.into();
        self
    }

    /// With this window.
    #[must_use]
    pub fn with_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// With the window in this time zone.
    #[must_use]
    pub fn with_time_zone(mut self, zone: impl Into<String>) -> Self {
        self.time_zone = Some(zone.into());
        self
    }

    /// What the store is told to keep.
    pub(crate) fn keeps(&self) -> Retention {
        Retention::default()
            .with_max_age(self.retention.get())
            .with_max_records(self.max_records)
            .with_max_bytes(self.max_bytes)
    }

    /// What makes no sense together.
    pub(crate) fn check(&self) -> Result<(), DeriveError> {
        let refuse = |field: &str, what: &str| Err(DeriveError::config(what).at(field));
        // Work that is due again when it has just been done would never end.
        let shortest = Duration::from_secs(1);
        if self.compact_every.get() < shortest {
            return refuse("compact_every", "the store would be compacted all the time: use 1s or more");
        }
        if self.maintain_every.get() < shortest {
            return refuse("maintain_every", "the store would be read all the time: use 1s or more");
        }
        if self.early.get() >= self.maintain_every.get() {
            let what = "in its window maintenance would be due when it has just been done: make it shorter than `maintain_every`";
            return refuse("early", what);
        }
        if self.max_records == 0 {
            return refuse("max_records", "nobody could follow the changes: keep 1 or more");
        }
        if self.window.days.is_empty() {
            return refuse("window.days", "a window on no day never opens: name one, such as `sat`");
        }
        if self.window.from == self.window.to {
            return refuse(
                "window.to",
                "a window that closes when it opens is never open: choose a later time",
            );
        }
        Ok(())
    }
}

/// Hours of some days of the week, in local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Window {
    /// The days on which it opens.
    pub days: Vec<Day>,
    /// When it opens.
    pub from: ClockTime,
    /// When it closes; on the next day if that is earlier than `from`.
    pub to: ClockTime,
}

impl Default for Window {
    /// The hours in which a plant is least likely to need its edge box (W-10).
    fn default() -> Self {
        Self::new([Day::Sat, Day::Sun], ClockTime::hour(2), ClockTime::hour(5))
    }
}

impl Window {
    /// A window on these days.
    #[must_use]
    pub fn new(days: impl IntoIterator<Item = Day>, from: ClockTime, to: ClockTime) -> Self {
        Self { days: days.into_iter().collect(), from, to }
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    pub(crate) const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

/// A time of the day to the minute, written `02:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime {
    minutes: u16,
}

impl ClockTime {
    /// The full hour; beyond 23 it is counted on from midnight.
    #[must_use]
    pub const fn hour(hour: u8) -> Self {
        Self { minutes: (hour as u16 % 24) * 60 }
    }

    /// Minutes since midnight.
    pub(crate) const fn minutes(self) -> u16 {
        self.minutes
    }
}

impl FromStr for ClockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
        let read = |(hour, minute)| Some((two(hour)?, two(minute)?));
        match text.split_once(':').and_then(read) {
            Some((hour @ 0..24, minute @ 0..60)) => Ok(Self { minutes: hour * 60 + minute }),
            Some(_) | None => {
                Err(format!("`{text}` is no time of the day: write `02:00`, from 00:00 to 23:59"))
            }
        }
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl Serialize for ClockTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ClockTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClockTime".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A time of the day, such as 02:00.",
            "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
        })
    }
}
