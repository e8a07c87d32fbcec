//! The life of one request, from its checked head to the last byte of its answer.

mod answer;
mod asker;
mod attempt;
mod body;
mod choose;
mod failure;
mod forward;
mod grpc;
mod guard;
mod line;
mod mirror;
mod record;
mod run;
mod text;
mod waiting;

pub(crate) use body::Body;
pub(crate) use forward::{is_claim, is_hop_by_hop};
pub(crate) use line::Line;
pub(crate) use record::Record;
pub(crate) use run::{handle, handle_simple, handle_stream};
