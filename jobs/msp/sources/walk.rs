//! A walk over an upstream's pages: patient where it is told to wait, and bounded where the pages
//! do not end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::answer::LEAST_WAIT;
use super::upstream::{origin, unreadable};
use super::{Place, SourceError};

/// The longest wait inside a walk. A longer one ends the stream, and whoever reads it comes back
/// then.
const SHORT_WAIT: Duration = Duration::from_secs(10);

/// A walk goes on for so long, and is then to be taken up where it was: an attempt of a job has its
/// end, and a list that takes longer must come to its end all the same.
const LONGEST_STRETCH: Duration = Duration::from_mins(5);

/// So many pages without an object may follow each other: Microsoft Graph has some where it
/// filters.
const MOST_EMPTY_PAGES: u32 = 10;

/// One page: its objects, unread, and where the next page is, unless that cannot be followed.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Box<RawValue>>,
    pub(super) next: Result<Option<String>, SourceError>,
}

/// Which list is walked, and from where.
#[derive(Debug)]
pub(super) struct Start<'a> {
    /// The upstream's name in a [`Place`].
    pub(super) upstream: &'static str,
    /// The list's address.
    pub(super) url: &'a Url,
    /// The most pages of a walk.
    pub(super) max_pages: NonZeroU32,
    /// Where a walk before this one was told to wait.
    pub(super) from: Option<&'a Value>,
}

/// Where a walk was told to wait.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stop {
    /// The page that is next; none for the first one.
    cursor: Option<String>,
    /// Pages and objects before it.
    pages: u32,
    objects: u64,
    /// How often it was asked for, and was told to wait.
    waits: u32,
}

#[derive(Debug)]
enum Next {
    /// A page, by its cursor; the first one has none.
    Page(Option<String>),
    End,
    Broken(SourceError),
}

/// A walk, by a function that fetches the page at a cursor.
#[derive(Debug)]
pub(super) struct Walk<F> {
    upstream: &'static str,
    url: Url,
    max_pages: u32,
    fetch: F,
    next: Next,
    pages: u32,
    objects: u64,
    waits: u32,
    /// Empty pages since the last one with objects.
    empty: u32,
    /// The cursors and the objects there were, by their hashes: eight bytes each, for lists of a
    /// million objects.
    cursors: HashSet<u64>,
    known: HashSet<u64>,
    began: Instant,
}

impl<F, Fut> Walk<F>
where
    F: Fn(Option<String>) -> Fut,
    Fut: Future<Output = Result<Page, SourceError>>,
{
    pub(super) fn new(start: &Start<'_>, fetch: F) -> Self {
        // A place of another version of this program may be of another form: then the walk begins
        // anew.
        let from = start.from.and_then(|it| Stop::deserialize(it).ok()).unwrap_or_default();
        Self {
            upstream: start.upstream,
            url: start.url.clone(),
            max_pages: start.max_pages.get(),
            fetch,
            next: Next::Page(from.cursor),
            pages: from.pages,
            objects: from.objects,
            waits: from.waits,
            empty: 0,
            cursors: HashSet::new(),
            known: HashSet::new(),
            began: Instant::now(),
        }
    }

    /// The objects of the next page with their numbers, from 1 on over all pages; `None` after the
    /// last page.
    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<(u64, Box<RawValue>)>>, SourceError> {
        let cursor = match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Ok(None),
            Next::Broken(error) => return Err(error),
            Next::Page(cursor) => cursor,
        };
        let page = self.fetch(cursor).await?;
        (self.pages, self.waits) = (self.pages + 1, 0);
        let fresh = page.items.iter().filter(|item| self.known.insert(identity(item))).count();
        self.empty = if page.items.is_empty() { self.empty + 1 } else { 0 };
        self.next = match page.next {
            Ok(None) => Next::End,
            Err(error) => Next::Broken(error),
            Ok(Some(next)) => match self.why_endless(&next, page.items.len(), fresh) {
                Some(error) => Next::Broken(error),
                None => Next::Page(Some(next)),
            },
        };
        let numbers = self.objects + 1..;
        self.objects += page.items.len() as u64;
        Ok(Some(numbers.zip(page.items).collect()))
    }

    /// Why the walk does not go on to the page at `next`, after a page of so many objects.
    fn why_endless(&mut self, next: &str, objects: usize, fresh: usize) -> Option<SourceError> {
        let Self { pages, max_pages, empty, .. } = *self;
        // Another attempt would come as far. What goes in a circle may have been a moment's.
        if pages >= max_pages {
            let reason = format!(
                "it has more than {max_pages} pages; if it really is so long, raise max_pages of the account"
            );
            return Some(SourceError::Refused { origin: origin(&self.url), reason });
        }
        let reason = if !self.cursors.insert(hash(next)) {
            "its link to the next page leads back to a page that was read before".to_owned()
        } else if objects > 0 && fresh == 0 {
            format!("its page {pages} has only objects of the pages before, and says that more pages follow")
        } else if empty > MOST_EMPTY_PAGES {
            format!("{empty} empty pages came one after the other, and more are said to follow")
        } else {
            return None;
        };
        Some(unreadable(&self.url, reason))
    }

    /// Fetches a page, and does so again after short waits.
    async fn fetch(&mut self, cursor: Option<String>) -> Result<Page, SourceError> {
        if self.began.elapsed() > LONGEST_STRETCH {
            return Err(self.stop(origin(&self.url), cursor, LEAST_WAIT));
        }
        loop {
            let (asked, origin) = match (self.fetch)(cursor.clone()).await {
                Err(SourceError::Throttled { retry_after, origin, .. }) => (retry_after, origin),
                other => return other,
            };
            // Twice as long each time: whoever asks for a second again and again means more.
            let wait = asked.max(LEAST_WAIT * 2_u32.pow(self.waits.min(9)));
            self.waits += 1;
            if wait > SHORT_WAIT || self.began.elapsed() + wait > LONGEST_STRETCH {
                return Err(self.stop(origin, cursor, wait));
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn stop(&self, origin: String, cursor: Option<String>, retry_after: Duration) -> SourceError {
        let Self { pages, objects, waits, .. } = *self;
        let stop = serde_json::to_value(Stop { cursor, pages, objects, waits }).unwrap_or_default();
        SourceError::Throttled { origin, retry_after, place: Some(Place::at(self.upstream, stop)) }
    }
}

/// What an object is known again by: its id, or its whole text where it has none.
fn identity(object: &RawValue) -> u64 {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let named = serde_json::from_str::<Named<'_>>(object.get());
    hash(named.map_or(object.get(), |it| it.id.get()))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
