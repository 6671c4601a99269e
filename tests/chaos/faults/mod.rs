//! One fault a file. They run one after the other.

mod clocks;
mod cut;
mod freeze;
mod handlers;
mod hang;
mod kill;
mod postmaster;
mod readonly;
mod restart;
mod roll;
