//! Pages for readers.

pub(crate) mod around;
pub(crate) mod feed;
pub(crate) mod lists;
pub(crate) mod media;
pub(crate) mod moved;
pub(crate) mod post;
pub(crate) mod preferences;
pub(crate) mod search;
pub(crate) mod sitemap;
pub(crate) mod terms;
