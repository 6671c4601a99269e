//! `/api/v1/auth`: people sign in with a password, for every domain: programs that have no browser
//! to show a page in.

mod answer;
mod grant;
mod login;
mod me;
mod password;
mod refresh;

pub(in crate::http) use grant::begin;
pub(crate) use login::*;
pub(crate) use me::*;
pub(crate) use password::*;
pub(crate) use refresh::*;

pub(in crate::http) use refresh::{note_reuse, revoke, rotate};
