//! Signing in with a password, whatever for: how often it may be tried, who is checked first, the
//! page for it, and the cookies of whoever is signed in.

mod check;
mod cookies;
mod hash_queue;
mod limits;
mod next;
mod page;

pub(in crate::http) use check::{NotSignedIn, Refused, SignIns};
pub(in crate::http) use cookies::user_agent;
pub(in crate::http) use limits::{Caller, short};
pub(in crate::http) use page::{show, sign_in, sign_out};
