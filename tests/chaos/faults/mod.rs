//! One fault a file. They run one after the other.

mod clocks;
mod cut;
mod diskfull;
mod freeze;
mod handlers;
mod hang;
mod kill;
mod postmaster;
mod promote;
mod readonly;
mod replicate;
mod restart;
mod restore;
mod roll;
