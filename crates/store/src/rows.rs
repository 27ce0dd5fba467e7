//! How a row of either database becomes a struct.
//!
//! sqlx can derive this. Its macros are a compiled program that knows every query language, though: with them all of
//! sqlx, its runtime, TLS and SQLite itself are compiled twice, for the compiler and for us.

/// Implements [`sqlx::FromRow`] for both databases: each field named is the column of the same name. Fields after a
/// semicolon are structs of their own that take their columns from the same row.
///
/// A field that is left out, or named twice, does not compile.
macro_rules! from_row {
    ($row:ident { $($field:ident),+ $(; $($part:ident),+)? }) => {
        from_row!(for sqlx::sqlite::SqliteRow: $row { $($field),+ ; $($($part),+)? });
        from_row!(for sqlx::postgres::PgRow: $row { $($field),+ ; $($($part),+)? });
    };
    (for $kind:ty: $row:ident { $($field:ident),+ ; $($part:ident),* }) => {
        impl sqlx::FromRow<'_, $kind> for $row {
            fn from_row(row: &$kind) -> std::result::Result<Self, sqlx::Error> {
                Ok(Self {
                    $($field: sqlx::Row::try_get(row, stringify!($field))?,)+
                    $($part: sqlx::FromRow::from_row(row)?,)*
                })
            }
        }
    };
}
