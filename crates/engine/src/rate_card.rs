//! What messages cost: the card that this version ships, and those that somebody saved since.
//!
//! A card is never changed. Saving makes another one, which is valid from its own day on; what a message cost is looked up
//! by the day on which it arrived.

use domain::pricing::{Card, Micros, RateLine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::views::iso;
use crate::{Actor, App};

/// A public copy of Meta's list; where it is from stands in its first line.
const SHIPPED: &str = include_str!("rate_card/2026-10-01.csv");
/// Where that one is from.
const SHIPPED_SOURCE: &str = "Meta's list in USD from 2026-10-01 (public copy)";
/// More than every market in every category.
const MOST_LINES: usize = 1_000;
/// A file of prices is no larger.
const MOST_BYTES: usize = 200_000;
const COLUMNS: [&str; 5] = ["market", "category", "rate", "currency", "valid_from"];

/// One price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateView {
    /// Meta's market: a country, or several that are billed alike.
    pub market: String,
    /// `marketing`, `marketing_lite`, `utility`, `authentication`, `authentication_international` or `service`.
    pub category: String,
    /// What a delivered message costs, in the card's currency, as digits with a point: `0.0644`.
    pub rate: String,
}

/// A card without its prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CardHead {
    /// Its id; `null`: it came with this version.
    pub id: Option<i64>,
    /// From the beginning of this day (UTC) on.
    pub valid_from: String,
    /// ISO 4217.
    pub currency: String,
    /// Where its prices are from.
    pub source: String,
    /// Who saved it.
    pub saved_by: Option<String>,
    /// When, RFC 3339.
    pub saved_at: Option<String>,
    /// Whether it is valid just now.
    pub in_force: bool,
}

/// A card with its prices, and which others there are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RateCardView {
    /// The one that was asked for.
    pub card: CardHead,
    /// Its prices, by market and category.
    pub rates: Vec<RateView>,
    /// The same as a file: `market,category,rate,currency,valid_from`, below a line that says where they are from.
    pub csv: String,
    /// Every market that a price can be given for.
    pub markets: Vec<String>,
    /// Every card, the one that was saved last first.
    pub cards: Vec<CardHead>,
}

/// Prices to be saved as a new card: typed, or as a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCard {
    /// From which day on: `2026-10-01`. Not with `csv`, whose rows say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// ISO 4217. Not with `csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Where the prices are from. With `csv`: unless its first line says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The prices. Not with `csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Vec<RateView>>,
    /// A file of them: a line `# where they are from`, then `market,category,rate,currency,valid_from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
}

/// Every card, in the order in which one gives way to the next.
#[derive(Debug)]
pub(crate) struct Cards {
    heads: Vec<CardHead>,
    cards: Vec<Card>,
}

impl Cards {
    /// The one that came with this version, alone.
    pub(crate) fn shipped() -> Result<Self> {
        let shipped = read_csv(SHIPPED, Some(SHIPPED_SOURCE))?;
        Ok(Self { heads: vec![head(&shipped, None)], cards: vec![shipped] })
    }

    pub(crate) async fn load(app: &App) -> Result<Self> {
        let Self { mut heads, mut cards } = Self::shipped()?;
        for row in app.store.rate_cards().await? {
            let rates: Vec<RateView> = serde_json::from_str(&row.rates).map_err(Fault::internal)?;
            let card = card_of(&row.valid_from, &row.currency, &row.source, &rates)?;
            heads.push(head(&card, Some(&row)));
            cards.push(card);
        }
        Ok(Self { heads, cards })
    }

    /// The card that is valid at a time.
    pub(crate) fn at(&self, at: i64) -> &Card {
        // There is always the one that was shipped.
        Card::at(&self.cards, at).unwrap_or(&self.cards[0])
    }

    /// Tells these cards from those that there will be once another is saved.
    pub(crate) fn stamp(&self) -> String {
        format!("{}:{}", self.cards[0].valid_from, self.cards.len())
    }

    fn place_of(&self, at: i64) -> usize {
        self.cards.iter().position(|card| std::ptr::eq(card, self.at(at))).unwrap_or(0)
    }
}

fn head(card: &Card, row: Option<&store::RateCardRow>) -> CardHead {
    CardHead {
        id: row.map(|row| row.id),
        valid_from: card.valid_from.to_string(),
        currency: card.currency.clone(),
        source: card.source.clone(),
        saved_by: row.map(|row| row.actor.clone()),
        saved_at: row.map(|row| iso(row.at)),
        in_force: false,
    }
}

/// A price as people write it, with at least four decimals, as Meta has them.
pub(crate) fn written(price: Micros) -> String {
    let text = format!("{}.{:06}", price / 1_000_000, price % 1_000_000);
    let least = text.len() - 2;
    let kept = text.trim_end_matches('0').len().max(least);
    text[..kept].to_owned()
}

fn views(card: &Card) -> Vec<RateView> {
    card.rates()
        .map(|(market, category, price)| RateView {
            market: market.to_owned(),
            category: category.as_str().to_owned(),
            rate: written(price),
        })
        .collect()
}

fn invalid(error: &domain::pricing::CardError) -> Fault {
    Fault::invalid(format!("This is no rate card: {error}."))
        .kept("The cards that there are stay as they are.")
        .action("Correct it and save it again; `hudhud rate-card show --csv` prints a card as a file.")
}

fn card_of(valid_from: &str, currency: &str, source: &str, rates: &[RateView]) -> Result<Card> {
    let lines = rates.iter().zip(1..).map(|(rate, line)| RateLine {
        line,
        market: &rate.market,
        category: &rate.category,
        rate: &rate.rate,
    });
    Card::new(valid_from, currency, source, lines).map_err(|error| invalid(&error))
}

/// Reads a file of prices. All of its rows are of one day and one currency.
fn read_csv(text: &str, source: Option<&str>) -> Result<Card> {
    if text.len() > MOST_BYTES {
        return Err(Fault::invalid("A file of prices has at most 200,000 bytes."));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().next().unwrap_or_default();
    // A spreadsheet saves the line with as many delimiters as there are columns.
    let said =
        first.strip_prefix('#').map(|said| said.trim().trim_end_matches([',', ';']).trim_matches('\u{22}').trim());
    let table = if said.is_some() { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    let header = table.lines().next().unwrap_or_default();
    let delimiter = if header.contains(';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(table.as_bytes());
    let unreadable = |what: String| {
        Fault::invalid(format!("This is no rate card: {what}."))
            .kept("The cards that there are stay as they are.")
            .action(
                "Its columns are market,category,rate,currency,valid_from; `hudhud rate-card show --csv` prints one.",
            )
    };
    let headers = reader.headers().map_err(|error| unreadable(error.to_string()))?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = headers.iter().position(|header| header.eq_ignore_ascii_case(column));
        *place = found.ok_or_else(|| unreadable(format!("it has no column {column}")))?;
    }
    let mut rows: Vec<(u64, [String; COLUMNS.len()])> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(error.to_string()))?;
        let cells = places.map(|place| record.get(place).unwrap_or_default().to_owned());
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if rows.len() == MOST_LINES {
            return Err(unreadable(format!("it has more than {MOST_LINES} prices")));
        }
        let line = record.position().map_or(0, csv::Position::line) + u64::from(said.is_some());
        rows.push((line, cells));
    }
    let Some((_, [_, _, _, currency, valid_from])) = rows.first().cloned() else {
        return Err(unreadable("it has no price at all".to_owned()));
    };
    if let Some((line, _)) = rows.iter().find(|(_, cells)| cells[3] != currency || cells[4] != valid_from) {
        return Err(unreadable(format!("line {line} is of another currency or day than the first")));
    }
    let lines = rows.iter().map(|(line, cells)| RateLine {
        line: *line,
        market: &cells[0],
        category: &cells[1],
        rate: &cells[2],
    });
    let source = source.filter(|source| !source.trim().is_empty()).or(said).unwrap_or_default();
    Card::new(&valid_from, &currency, source, lines).map_err(|error| invalid(&error))
}

/// The file that [`read_csv`] reads.
fn write_csv(card: &Card) -> Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS).map_err(Fault::internal)?;
    let day = card.valid_from.to_string();
    for (market, category, price) in card.rates() {
        let rate = written(price);
        table.write_record([market, category.as_str(), &rate, &card.currency, &day]).map_err(Fault::internal)?;
    }
    let bytes = table.into_inner().map_err(|error| Fault::internal(anyhow::anyhow!("{error}")))?;
    Ok(format!("# {}\n{}", card.source, String::from_utf8(bytes).map_err(Fault::internal)?))
}

/// A card with its prices: the one of that id, or else the one that is valid now.
///
/// # Errors
/// When there is none of that id, or the database is away.
#[crate::boxed]
pub async fn show(app: &App, id: Option<i64>) -> Result<RateCardView> {
    let Cards { mut heads, cards } = {
        let mut loaded = Cards::load(app).await?;
        let now = loaded.place_of(app.clock.now_ms());
        loaded.heads[now].in_force = true;
        loaded
    };
    let place = match id {
        None => heads.iter().position(|head| head.in_force).unwrap_or(0),
        // The one that came with this version has no id of its own.
        Some(0) => 0,
        Some(id) => heads.iter().position(|head| head.id == Some(id)).ok_or_else(|| {
            Fault::not_found(format!("There is no rate card with the id {id}."))
                .action("`hudhud rate-card ls` shows what there is.")
        })?,
    };
    let card = heads[place].clone();
    heads.reverse();
    Ok(RateCardView {
        card,
        rates: views(&cards[place]),
        csv: write_csv(&cards[place])?,
        markets: domain::pricing::markets().map(str::to_owned).collect(),
        cards: heads,
    })
}

/// Saves prices as a new card. Those that there are stay: they say what messages cost before.
///
/// # Errors
/// `Invalid` for what is no card; then none is saved.
#[crate::boxed]
pub async fn save(app: &App, actor: &Actor, new: &NewCard) -> Result<RateCardView> {
    let card = match new {
        NewCard { csv: Some(text), valid_from: None, currency: None, rates: None, source } => {
            read_csv(text, source.as_deref())?
        }
        NewCard { csv: None, valid_from: Some(day), currency: Some(currency), rates: Some(rates), source } => {
            if rates.len() > MOST_LINES {
                return Err(Fault::invalid(format!("A card has at most {MOST_LINES} prices.")));
            }
            card_of(day, currency, source.as_deref().unwrap_or_default(), rates)?
        }
        _ => {
            return Err(Fault::invalid("Give either `csv`, or `valid_from`, `currency`, `source` and `rates`."));
        }
    };
    let rates = serde_json::to_string(&views(&card)).map_err(Fault::internal)?;
    let valid_from = card.valid_from.to_string();
    let row = store::NewRateCard {
        valid_from: &valid_from,
        currency: &card.currency,
        source: &card.source,
        rates: &rates,
        actor: actor.as_str(),
        at: app.clock.now_ms(),
    };
    let id = app.store.add_rate_card(&row).await?;
    tracing::info!(%actor, card = id, valid_from, "rate card saved");
    show(app, Some(id)).await
}

#[cfg(test)]
mod tests;
