//! As much of Postgres' protocol (version 3) as it takes to see which statement passes.

use std::collections::HashMap;

/// What a statement does for the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A handler writes.
    Run,
    /// A producer enqueues.
    Enqueue,
    /// A worker claims.
    Claim,
    /// An outcome is written, alone or in a handler's transaction.
    Finish,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Claim, Self::Run, Self::Finish, Self::Enqueue];

    /// Words that only that statement has.
    const WORDS: [(&'static str, Self); 5] = [
        ("insert into ledger", Self::Run),
        ("insert into queue.jobs", Self::Enqueue),
        ("insert into queue.claims (worker_id, queue, claim_seq, jobs, runs) select $3", Self::Claim),
        ("set state = 'completed', output = coalesce", Self::Finish),
        ("then o.new_state else o.when_cancelled end", Self::Finish),
    ];

    fn of(sql: &str) -> Option<Self> {
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::WORDS.iter().find(|(words, _)| sql.contains(words)).map(|(_, kind)| *kind)
    }
}

/// Where a cut is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// At the statement itself.
    Statement,
    /// At the commit of its transaction; a statement that is its own transaction is its own commit.
    Commit,
}

/// Something passes that a cut may be aimed at.
pub(crate) type Event = (Kind, Place);

/// Splits a stream into messages.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Messages before the first typed one have no type byte.
    typed: bool,
}

impl Frames {
    pub(crate) fn of_client() -> Self {
        Self::default()
    }

    pub(crate) fn of_server() -> Self {
        Self { typed: true, ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, with its head.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let head = usize::from(self.typed);
        let length: [u8; 4] = self.buffer.get(head..head + 4)?.try_into().unwrap();
        let whole = head + u32::from_be_bytes(length) as usize;
        if self.buffer.len() < whole {
            return None;
        }
        let rest = self.buffer.split_off(whole);
        let message = std::mem::replace(&mut self.buffer, rest);
        self.typed = true;
        Some(message)
    }
}

/// What one client has said so far.
#[derive(Default)]
pub(crate) struct Conversation {
    begun: bool,
    prepared: HashMap<Vec<u8>, Option<Kind>>,
    bound: Option<Kind>,
    in_transaction: bool,
    /// The most telling statement of the transaction.
    transaction: Option<Kind>,
}

impl Conversation {
    /// Takes in a client's message; what it is to the engine, at both places where it is its own
    /// commit.
    pub(crate) fn hear(&mut self, message: &[u8]) -> Vec<Event> {
        if !std::mem::replace(&mut self.begun, true) {
            return Vec::new();
        }
        let body = &message[5..];
        match message[0] {
            b'Q' => self.simple(text(body)),
            b'P' => {
                let name = text(body);
                let sql = text(&body[name.len() + 1..]);
                let kind = Kind::of(&String::from_utf8_lossy(sql));
                self.prepared.insert(name.to_owned(), kind);
                Vec::new()
            }
            b'B' => {
                let portal = text(body);
                let name = text(&body[portal.len() + 1..]);
                self.bound = self.prepared.get(name).copied().flatten();
                Vec::new()
            }
            b'E' => self.bound.take().map(|kind| self.statement(kind)).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn simple(&mut self, sql: &[u8]) -> Vec<Event> {
        let sql = String::from_utf8_lossy(sql);
        match sql.trim().to_ascii_lowercase() {
            word if word.starts_with("begin") => {
                self.in_transaction = true;
                self.transaction = None;
                Vec::new()
            }
            word if word.starts_with("commit") => {
                self.in_transaction = false;
                self.transaction.take().map(|kind| (kind, Place::Commit)).into_iter().collect()
            }
            word if word.starts_with("rollback") => {
                self.in_transaction = false;
                Vec::new()
            }
            _ => Kind::of(&sql).map(|kind| self.statement(kind)).unwrap_or_default(),
        }
    }

    fn statement(&mut self, kind: Kind) -> Vec<Event> {
        if self.in_transaction {
            self.transaction = self.transaction.max(Some(kind));
            vec![(kind, Place::Statement)]
        } else {
            vec![(kind, Place::Statement), (kind, Place::Commit)]
        }
    }
}

/// Up to the zero byte.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[test]
fn statements_are_told_apart_through_their_names() {
    let message = |kind: u8, body: &[u8]| {
        let mut message = vec![kind];
        message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        message.extend(body);
        message
    };
    let mut frames = Frames::of_client();
    frames.push(&8_u32.to_be_bytes());
    frames.push(b"user");
    for (kind, body) in [
        (
            b'P',
            &b"s1\0insert into queue.claims (worker_id, queue, claim_seq, jobs, runs)\nselect $3\0\0\0"[..],
        ),
        (b'B', b"\0s1\0\0\0"),
        (b'E', b"\0\0\0\0\0"),
        (b'Q', b"BEGIN\0"),
        (b'Q', b"insert into ledger values (1)\0"),
        (b'Q', b"COMMIT\0"),
    ] {
        frames.push(&message(kind, body));
    }
    frames.push(b"E\0");
    let mut conversation = Conversation::default();
    let mut events = Vec::new();
    while let Some(message) = frames.next() {
        events.extend(conversation.hear(&message));
    }
    let expected = [
        (Kind::Claim, Place::Statement),
        (Kind::Claim, Place::Commit),
        (Kind::Run, Place::Statement),
        (Kind::Run, Place::Commit),
    ];
    assert_eq!(events, expected);
}
