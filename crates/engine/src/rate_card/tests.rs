use store::on_both_databases;
use store::testing::Database;

use domain::pricing::BilledAs;

use super::*;
use crate::testing::app;

fn fault(text: &str) -> String {
    read_csv(text, Some("a test")).unwrap_err().detail
}

#[test]
fn the_card_that_is_shipped_names_its_day_and_where_it_is_from() {
    let card = read_csv(SHIPPED, None).unwrap();
    assert_eq!((card.valid_from.to_string().as_str(), card.currency.as_str()), ("2026-10-01", "USD"));
    assert_eq!(card.source, SHIPPED_SOURCE, "the file says the same");
    assert_eq!(card.price("Egypt", BilledAs::Marketing), Some(64_400));
    assert_eq!(card.price("Germany", BilledAs::Authentication), Some(55_000));
    assert_eq!(card.price("Other", BilledAs::Utility), Some(7_700));
    assert_eq!(card.price("France", BilledAs::Marketing), None, "not in the public copy");
}

#[test]
fn a_card_is_the_same_after_it_was_a_file() {
    let card = read_csv(SHIPPED, None).unwrap();
    assert_eq!(read_csv(&write_csv(&card).unwrap(), None).unwrap(), card);
    // As a spreadsheet in Spanish saves it.
    let text = "\u{feff}# La lista de la casa;;;;\r\nMarket;Category;Rate;Currency;Valid_From\r\nSpain;marketing;0,07071;eur;2027-01-01\r\n;;;;\r\n";
    let card = read_csv(text, None).unwrap();
    assert_eq!((card.source.as_str(), card.currency.as_str()), ("La lista de la casa", "EUR"));
    assert_eq!(written(card.price("Spain", BilledAs::Marketing).unwrap()), "0.07071");
    assert_eq!(written(64_400), "0.0644");
    assert_eq!(written(2_500_000), "2.5000");
}

#[test]
fn a_file_that_is_no_card_is_refused_with_its_line() {
    let head = "market,category,rate,currency,valid_from\n";
    assert!(fault("market,rate\nEgypt,1\n").contains("no column category"));
    assert!(fault(head).contains("no price at all"));
    let two = format!("# mine\n{head}Egypt,marketing,1,USD,2027-01-01\nEgypt,utility,1,EUR,2027-01-01\n");
    assert!(fault(&two).contains("line 4 is of another currency or day"), "{}", fault(&two));
    let free = format!("{head}Egypt,marketing,free,USD,2027-01-01\n");
    assert!(fault(&free).contains("line 2"), "{}", fault(&free));
}

on_both_databases! {
    async fn saving_makes_another_card_and_keeps_the_older_ones(db: Database) {
        let app = app(db).await;
        let actor = Actor::cli("amr");
        let before = show(&app, None).await.unwrap();
        assert_eq!((before.card.id, before.cards.len(), before.card.in_force), (None, 1, true));
        let rates = |rate: &str| Some(vec![RateView { market: "Egypt".into(), category: "marketing".into(), rate: rate.into() }]);
        let new = |day: &str, rate: &str| NewCard {
            valid_from: Some(day.into()), currency: Some("usd".into()), source: Some("our provider".into()),
            rates: rates(rate), csv: None,
        };
        let saved = save(&app, &actor, &new("2026-11-01", "0.07")).await.unwrap();
        assert_eq!((saved.cards.len(), saved.card.in_force, saved.card.saved_by.as_deref()), (2, true, Some("cli:amr")));
        let later = save(&app, &actor, &new("2027-01-01", "0.08")).await.unwrap();
        assert!(!later.card.in_force, "not yet");
        let cards = Cards::load(&app).await.unwrap();
        let price = |at| cards.at(at).price("Egypt", BilledAs::Marketing);
        let day = 86_400_000;
        assert_eq!(price(app.clock.now_ms()), Some(70_000));
        assert_eq!(price(app.clock.now_ms() - 30 * day), Some(64_400));
        assert_eq!(price(app.clock.now_ms() + 60 * day), Some(80_000));
        // As a file, which is the same card again.
        let again = save(&app, &actor, &NewCard { csv: Some(later.csv.clone()), ..NewCard::default() }).await.unwrap();
        assert_eq!((again.rates, again.card.source), (later.rates, later.card.source));
        assert_eq!(show(&app, Some(0)).await.unwrap().card.id, None);
        for wrong in [NewCard::default(), new("soon", "1"), NewCard { csv: Some(String::new()), ..new("2027-01-01", "1") }] {
            save(&app, &actor, &wrong).await.unwrap_err();
        }
        assert_eq!(show(&app, None).await.unwrap().cards.len(), 4, "and nothing of what was refused");
    }
}
