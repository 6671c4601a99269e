//! Reads the mock data of a folder instead of calling the real systems.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::task::{JoinHandle, spawn_blocking};

use super::array::ArraySplitter;
use super::lines::LineSplitter;
use super::utf16::Utf8;
use super::within::open_within;
use super::{Dataset, Piece, RowStream, Source, SourceError, SourceRow};

/// How much is read at a time, and so how much makes a batch: about 500 rows of usual length.
const CHUNK_BYTES: usize = 128 * 1024;

/// A folder of files. Two layouts are read, the first one first:
///
/// 1. `<path>/<tenant>/<dataset>.jsonl`, one JSON object a line;
/// 2. `<path>/<dataset>/<tenant>.json`, a JSON array.
///
/// When neither file is there the tenant has no such rows, and the stream is empty. When the
/// folder itself is not there, or has nothing of the tenant at all, the stream is
/// [`SourceError::Unreadable`]: a mistyped path must not look like a day without tickets.
///
/// A file may be UTF-8, or UTF-16 with a byte order mark.
///
/// A link that leads out of the folder is not followed: [`SourceError::Refused`].
///
/// Memory stays constant whatever the file's size. The reading is done on tokio's blocking
/// threads, a chunk at a time and one chunk ahead; a slow consumer holds no thread.
#[derive(Debug, Clone)]
pub struct MockSource {
    /// The data folder.
    pub path: PathBuf,
}

impl Source for MockSource {
    /// Errors of the stream: [`SourceError::Refused`] for a slug that is not a safe file name,
    /// [`SourceError::Unreadable`] for a folder or file that cannot be read (also part-way).
    fn rows(&self, tenant_slug: &str, dataset: Dataset) -> RowStream {
        if let Err(reason) = check_slug(tenant_slug) {
            let origin = format!("{dataset} of tenant {:?}", shortened(tenant_slug));
            return one_error(SourceError::Refused { origin, reason });
        }
        let (path, slug) = (self.path.clone(), tenant_slug.to_owned());
        // `once` and not an eager call: nothing is opened, and no runtime needed, before a poll.
        stream::once(async move {
            let opened = spawn_blocking(move || Reader::open(&path, &slug, dataset)).await;
            match opened.unwrap_or_else(|error| Err(stopped(dataset.name(), &error))) {
                Ok(None) => stream::empty().boxed(),
                Ok(Some(reader)) => batches(reader),
                Err(error) => one_error(error),
            }
        })
        .flatten()
        .boxed()
    }

    fn has(&self, tenant_slug: &str, dataset: Dataset) -> bool {
        let is_there = |origin: &str| matches!(open_file(&self.path, origin), Ok(Some(_)));
        files(tenant_slug, dataset).iter().any(|origin| is_there(origin))
    }

    fn describe(&self) -> String {
        format!("mock data in {}", self.path.display())
    }
}

/// Where rows may be: as lines, and as an array.
fn files(slug: &str, dataset: Dataset) -> [String; 2] {
    [format!("{slug}/{dataset}.jsonl"), format!("{dataset}/{slug}.json")]
}

fn one_error(error: SourceError) -> RowStream {
    stream::iter([Err(error)]).boxed()
}

/// A slug becomes a part of a file name, so it must not be able to name another folder.
fn check_slug(slug: &str) -> Result<(), String> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match slug.len() {
        0 => Err("a tenant slug cannot be empty".to_owned()),
        201.. => Err("a tenant slug cannot be longer than 200 characters".to_owned()),
        _ if slug.bytes().all(safe) => Ok(()),
        _ => Err("a tenant slug has only letters, digits, `_` and `-`".to_owned()),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A reading task that panicked or was cancelled must not look like the end of the file.
fn stopped(origin: &str, error: &tokio::task::JoinError) -> SourceError {
    SourceError::Unreadable { origin: origin.to_owned(), reason: format!("the reading stopped: {error}") }
}

type Batch = Vec<Result<SourceRow, SourceError>>;
type Reading = JoinHandle<(Batch, Option<Reader>)>;

fn batches(reader: Reader) -> RowStream {
    let origin = Arc::clone(&reader.origin);
    let first = spawn_blocking(move || reader.next());
    stream::unfold(Some(first), move |reading: Option<Reading>| {
        let origin = Arc::clone(&origin);
        async move {
            match reading?.await {
                Ok((batch, rest)) => {
                    // The next chunk is read while this one is worked on.
                    let next = rest.map(|reader| spawn_blocking(move || reader.next()));
                    Some((stream::iter(batch), next))
                }
                Err(error) => Some((stream::iter(vec![Err(stopped(&origin, &error))]), None)),
            }
        }
    })
    .flatten()
    .boxed()
}

#[derive(Debug)]
enum Splitter {
    Lines(LineSplitter),
    Array(ArraySplitter),
}

impl Splitter {
    fn feed(&mut self, chunk: &[u8], out: &mut Vec<Piece>) {
        match self {
            Self::Lines(lines) => lines.feed(chunk, out),
            Self::Array(array) => array.feed(chunk, out),
        }
    }

    fn finish(self, out: &mut Vec<Piece>) {
        match self {
            Self::Lines(lines) => lines.finish(out),
            Self::Array(array) => array.finish(out),
        }
    }
}

/// An open file and how far it is read.
#[derive(Debug)]
struct Reader {
    file: File,
    origin: Arc<str>,
    utf8: Utf8,
    splitter: Splitter,
    buffer: Vec<u8>,
}

impl Reader {
    /// Opens the tenant's file; `None` when there is none.
    fn open(path: &Path, slug: &str, dataset: Dataset) -> Result<Option<Self>, SourceError> {
        let [lines, array] = files(slug, dataset);
        let (origin, file, splitter) = if let Some(file) = open_file(path, &lines)? {
            (lines, file, Splitter::Lines(LineSplitter::new()))
        } else if let Some(file) = open_file(path, &array)? {
            (array, file, Splitter::Array(ArraySplitter::new()))
        } else {
            fs::read_dir(path).map_err(|error| unreadable(&path.to_string_lossy(), &error))?;
            return if knows(path, slug) { Ok(None) } else { Err(unknown(path, slug)) };
        };
        let (origin, buffer) = (origin.into(), vec![0; CHUNK_BYTES]);
        Ok(Some(Self { file, origin, utf8: Utf8::default(), splitter, buffer }))
    }

    /// Reads on: the rows which end in the next chunk, and the reader unless it is done.
    fn next(mut self) -> (Batch, Option<Self>) {
        let mut pieces = Vec::new();
        let size = loop {
            match self.file.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (vec![Err(unreadable(&self.origin, &error))], None),
                Ok(size) => break size,
            }
        };
        if size > 0 {
            self.splitter.feed(&self.utf8.feed(&self.buffer[..size]), &mut pieces);
            return (to_rows(&self.origin, pieces), Some(self));
        }
        self.splitter.feed(self.utf8.finish(), &mut pieces);
        self.splitter.finish(&mut pieces);
        (to_rows(&self.origin, pieces), None)
    }
}

/// Whether the folder has anything of the tenant: a folder of its own, or a file of any dataset.
fn knows(path: &Path, slug: &str) -> bool {
    path.join(slug).is_dir()
        || Dataset::ALL.iter().any(|dataset| path.join(format!("{dataset}/{slug}.json")).exists())
}

fn unknown(path: &Path, slug: &str) -> SourceError {
    let reason = format!(
        "there is no data for this tenant: neither a folder {slug} with files such as tickets.jsonl, nor a file such as tickets/{slug}.json; make an empty folder for a tenant without rows"
    );
    SourceError::Unreadable { origin: path.to_string_lossy().into_owned(), reason }
}

fn to_rows(origin: &Arc<str>, pieces: Vec<Piece>) -> Batch {
    let row = |piece: Piece| SourceRow { origin: Arc::clone(origin), line: piece.line, json: piece.text };
    pieces.into_iter().map(|piece| Ok(row(piece))).collect()
}

/// Opens a file of the data folder; `None` when it is not there.
fn open_file(path: &Path, origin: &str) -> Result<Option<File>, SourceError> {
    open_within(path, origin).map_err(|error| match error.kind() {
        // The system's own refusals may end; a link out of the folder stays one.
        ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            SourceError::Refused { origin: origin.to_owned(), reason: error.to_string() }
        }
        _ => unreadable(origin, &error),
    })
}

fn unreadable(origin: &str, error: &io::Error) -> SourceError {
    SourceError::Unreadable { origin: origin.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
#[path = "mock_tests.rs"]
mod tests;
