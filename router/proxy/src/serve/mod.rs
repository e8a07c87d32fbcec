//! The data plane: the life of one request.

mod answer;
mod body;
mod exchange;
mod failure;
mod headers;
mod pool;
mod record;
mod upstream;

pub(crate) use exchange::handle;
pub(crate) use pool::Pool;
