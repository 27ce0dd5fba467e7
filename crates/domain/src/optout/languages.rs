//! The languages that are understood.

mod arabic;
mod english;
mod french;
mod german;
mod hindi;
mod indonesian;
mod portuguese;
mod spanish;
mod turkish;

use super::grammar::Language;

/// All of them.
pub(super) const ALL: [&Language; 9] = [
    &english::ENGLISH,
    &arabic::ARABIC,
    &spanish::SPANISH,
    &portuguese::PORTUGUESE,
    &french::FRENCH,
    &hindi::HINDI,
    &turkish::TURKISH,
    &indonesian::INDONESIAN,
    &german::GERMAN,
];
