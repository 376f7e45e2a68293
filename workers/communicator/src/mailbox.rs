//! The two buffers of one incarnation, and what was answered: everything under one short lock.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::buffer::{Inbox, Outbox, Refused, Taken};
use crate::config::Buffers;
use crate::journal::{Answered, Journal, Kept};
use crate::message::{Message, MessageError};
use crate::port::{CommandFailure, Happening};

/// Answers that are remembered, so that a command that comes again is answered and not carried out again.
const REMEMBERED: usize = 1_000;
/// Of an answer so much is remembered, in bytes; a longer one says only that it was given.
const REMEMBERED_BYTES: usize = 4_096;
/// Longest answer of a command, in bytes: the relay takes it in one request with others.
const MAX_RESULT: usize = 262_144;

/// The buffers.
pub(crate) struct Mailbox {
    boxes: Mutex<Boxes>,
    journal: Arc<Journal>,
    /// Tells this life's messages from those of others of the same instance.
    life: String,
    arrived: Notify,
    room: Notify,
}

struct Boxes {
    out: Outbox,
    inbox: Inbox,
    answered: BTreeMap<String, Answered>,
    answers: u64,
    set_aside: u64,
    lost: u64,
}

/// How full the buffers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    pub(crate) unsent: usize,
    pub(crate) waiting: usize,
    pub(crate) pressed_up: bool,
    pub(crate) pressed_down: bool,
    pub(crate) set_aside: u64,
    pub(crate) lost: u64,
}

/// What became of something that was pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    New,
    Duplicate,
    Poison,
    NoRoom,
}

impl Mailbox {
    /// Buffers of this size, with what was kept. `life` is different for each life of the instance.
    pub(crate) fn new(buffers: Buffers, journal: Arc<Journal>, kept: Kept, life: String) -> Self {
        let answers = kept.answered.iter().map(|answered| answered.number + 1).max().unwrap_or(0);
        let boxes = Boxes {
            out: Outbox::new(buffers.up, kept.unsent),
            inbox: Inbox::new(buffers.down),
            answered: kept.answered.into_iter().map(|answered| (answered.of.clone(), answered)).collect(),
            answers,
            set_aside: kept.set_aside,
            lost: 0,
        };
        Self { boxes: Mutex::new(boxes), journal, life, arrived: Notify::new(), room: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Boxes> {
        // A panic under this lock leaves plain data, which is good as it is.
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    pub(crate) fn figures(&self) -> Figures {
        let boxes = self.lock();
        Figures {
            unsent: boxes.out.len(),
            waiting: boxes.inbox.len(),
            pressed_up: boxes.out.is_pressed(),
            pressed_down: boxes.inbox.is_pressed(),
            set_aside: boxes.set_aside,
            lost: boxes.lost,
        }
    }

    /// Puts what happened into the buffer; gives it back while there is no room.
    pub(crate) fn report(&self, happening: Happening) -> Result<(), Happening> {
        let mut boxes = self.lock();
        if boxes.out.is_pressed() {
            return Err(happening);
        }
        let id = self.next_id(&boxes);
        let Happening { report, trace_id, payload } = happening;
        if let Ok(unsent) = boxes.out.offer(Message::new(id, report.as_str(), trace_id, payload)) {
            self.journal.keep(unsent);
        }
        Ok(())
    }

    pub(crate) fn has_lost(&self, count: u64) {
        self.lock().lost += count;
    }

    /// Completes when reports have room again.
    pub(crate) async fn room(&self) {
        loop {
            // Made before the look, so that room made in between is heard of.
            let waiting = self.room.notified();
            if !self.lock().out.is_pressed() {
                return;
            }
            waiting.await;
        }
    }

    /// Completes when there is room for what is pulled, and for its answers.
    pub(crate) async fn room_down(&self) {
        loop {
            let waiting = self.room.notified();
            {
                let boxes = self.lock();
                if !boxes.out.is_pressed() && !boxes.inbox.is_pressed() {
                    return;
                }
            }
            waiting.await;
        }
    }

    fn next_id(&self, boxes: &Boxes) -> String {
        format!("{}-{}", self.life, boxes.out.next_number())
    }

    /// Takes something that was pulled. What can't be a message, or was answered before, is answered at once.
    pub(crate) fn receive(&self, value: &Value) -> Received {
        let message = match Message::read(value) {
            Ok(message) => message,
            Err(error) => {
                if let MessageError::Malformed { id, .. } = &error {
                    let failure = CommandFailure::new("bad_message", error.to_string());
                    self.answer(&Message::new(id.clone(), "", "", Value::Null), Err(failure));
                }
                let mut boxes = self.lock();
                self.count_poison(
                    &mut boxes,
                    &Message::new("", "unreadable", "", value.clone()),
                    &error.to_string(),
                );
                return Received::Poison;
            }
        };
        let mut boxes = self.lock();
        if let Some(answered) = boxes.answered.get(&message.id) {
            let mut receipt = answered.receipt.clone();
            receipt.id = self.next_id(&boxes);
            if let Ok(unsent) = boxes.out.insist(receipt) {
                self.journal.keep(unsent);
            }
            return Received::Duplicate;
        }
        match boxes.inbox.take(message) {
            Taken::New => {
                drop(boxes);
                self.arrived.notify_one();
                Received::New
            }
            Taken::Known => Received::Duplicate,
            Taken::Full => Received::NoRoom,
        }
    }

    /// The next command. Waits for one, and for room for its answer.
    pub(crate) async fn next_command(&self) -> Message {
        loop {
            self.room().await;
            let next = self.lock().inbox.next();
            if let Some(message) = next {
                self.room.notify_waiters();
                return message;
            }
            self.arrived.notified().await;
        }
    }

    /// Answers a command with a receipt, and remembers that.
    pub(crate) fn answer(&self, command: &Message, result: Result<Value, CommandFailure>) {
        let mut payload = match result {
            Ok(result) => json!({"of": command.id, "outcome": "success", "result": result}),
            Err(failure) => json!({
                "of": command.id, "outcome": "failure",
                "error": {"code": failure.code, "message": failure.message}
            }),
        };
        if payload.to_string().len() > MAX_RESULT {
            payload = json!({"of": command.id, "outcome": payload["outcome"].clone(), "truncated": true});
        }
        let mut boxes = self.lock();
        let mut receipt = Message::new(self.next_id(&boxes), "receipt", command.trace_id.clone(), payload);
        if let Ok(unsent) = boxes.out.insist(receipt.clone()) {
            self.journal.keep(unsent);
        }
        // Without room for the receipt the relay sends the command again, and is told then.
        if receipt.payload.to_string().len() > REMEMBERED_BYTES {
            receipt.payload =
                json!({"of": command.id, "outcome": receipt.payload["outcome"].clone(), "truncated": true});
        }
        let answered = Answered { number: boxes.answers, of: command.id.clone(), receipt };
        boxes.answers += 1;
        self.journal.answered((answered.number % REMEMBERED as u64) as usize, &answered);
        boxes.answered.insert(command.id.clone(), answered);
        if boxes.answered.len() > REMEMBERED {
            let oldest = boxes.answers.saturating_sub(REMEMBERED as u64);
            boxes.answered.retain(|_, answered| answered.number >= oldest);
        }
        boxes.inbox.done(&command.id);
    }

    /// What to push next, at most `most`.
    pub(crate) fn batch(&self, most: usize) -> Vec<Message> {
        self.lock().out.batch(most)
    }

    /// The relay has these, but for those that it names as useless.
    pub(crate) fn sent(&self, batch: &[Message], rejected: &[(String, String)]) -> usize {
        let mut boxes = self.lock();
        let mut aside = 0;
        for (id, why) in rejected {
            if let Some(unsent) = boxes.out.set_aside(id) {
                self.journal.forget(&[unsent.slot]);
                self.count_poison(&mut boxes, &unsent.message, why);
                aside += 1;
            }
        }
        let ids: HashSet<&str> = batch.iter().map(|message| message.id.as_str()).collect();
        let slots = boxes.out.sent(&ids);
        self.journal.forget(&slots);
        drop(boxes);
        self.room.notify_waiters();
        aside
    }

    /// The relay does not take this batch. Says whether one message was found to blame and set aside.
    pub(crate) fn refused(&self, batch: &[Message], why: &str) -> bool {
        let mut boxes = self.lock();
        match boxes.out.refused(batch.len()) {
            Some(Refused::SetAside(unsent)) => {
                self.journal.forget(&[unsent.slot]);
                self.count_poison(&mut boxes, &unsent.message, why);
                drop(boxes);
                self.room.notify_waiters();
                true
            }
            Some(Refused::Smaller) | None => false,
        }
    }

    fn count_poison(&self, boxes: &mut Boxes, message: &Message, why: &str) {
        self.journal.set_aside(boxes.set_aside, message, why);
        boxes.set_aside += 1;
    }
}
