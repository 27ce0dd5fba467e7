//! The files that are imported: people in no order of their numbers, as they are in life.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;

/// What the columns are called.
const HEADER: &str = "phone,name,language,city,points\n";

/// One person's five cells.
struct Person {
    phone: String,
    name: &'static str,
    language: &'static str,
    city: &'static str,
    points: u64,
}

/// The n-th of a hundred million people.
fn person(n: u64) -> Person {
    /// A prime above the most rows: multiplying by anything modulo it names each row once.
    const PRIME: u64 = 99_999_989;
    const NAMES: [&str; 8] = ["Mona Salem", "أحمد علي", "Layla", "خالد", "منى سالم", "Lucía Ruiz", "João", "Hélène"];
    const CITIES: [&str; 5] = ["Cairo", "الجيزة", "Alexandria", "Aswan", "المنصورة"];
    let shuffled = n * 48_271_337 % PRIME;
    let place = usize::try_from(shuffled).expect("a small number");
    Person {
        phone: format!("+2010{shuffled:08}"),
        name: NAMES[place % NAMES.len()],
        language: if shuffled.is_multiple_of(2) { "ar" } else { "en" },
        city: CITIES[place % CITIES.len()],
        points: shuffled % 5_000,
    }
}

fn line(n: u64, to: &mut String) {
    let Person { phone, name, language, city, points } = person(n);
    writeln!(to, "{phone},{name},{language},{city},{points}").expect("a string takes everything");
}

/// A CSV file of so many rows; its path.
pub(crate) fn csv(dir: &Path, rows: u64) -> String {
    let path = dir.join("people.csv");
    let mut file = BufWriter::new(File::create(&path).expect("a file of people"));
    file.write_all(HEADER.as_bytes()).expect("the disk has room");
    let mut text = String::new();
    for n in 0..rows {
        text.clear();
        line(n, &mut text);
        file.write_all(text.as_bytes()).expect("the disk has room");
    }
    file.into_inner().expect("the disk has room").sync_all().expect("a file on the disk");
    path.display().to_string()
}

/// The next 64 KiB or so of an endless CSV file. `from` is the number of its first row; the header comes before row 0.
pub(crate) fn piece(from: &mut u64) -> String {
    let mut text = String::with_capacity(66 * 1024);
    if *from == 0 {
        text.push_str(HEADER);
    }
    while text.len() < 64 * 1024 {
        line(*from, &mut text);
        *from += 1;
    }
    text
}

/// The same people as a workbook, with its texts in a table of their own, as spreadsheets write them; its path.
pub(crate) fn xlsx(dir: &Path, rows: u64) -> String {
    let path = dir.join("people.xlsx");
    let mut book = Workbook(zip::ZipWriter::new(BufWriter::new(File::create(&path).expect("a file of people"))));
    for (name, text) in PARTS {
        book.part(name, |part| part.write_all(text.as_bytes()));
    }
    // First those that come again and again: of the header, the names, the languages and the cities.
    let mut texts: Vec<String> = HEADER.trim().split(',').map(str::to_owned).collect();
    let mut place = |text: &str| match texts.iter().take(64).position(|known| known == text) {
        Some(place) => place,
        None => {
            texts.push(text.to_owned());
            texts.len() - 1
        }
    };
    let people = (0..rows).map(person).map(|person| {
        let few = [person.name, person.language, person.city].map(&mut place);
        (person, few)
    });
    let people: Vec<_> = people.collect();
    let phones = texts.len();
    book.part("xl/worksheets/sheet1.xml", |part| {
        part.write_all(SHEET.as_bytes())?;
        let cells = ["A", "B", "C", "D", "E"].iter().zip(0..);
        let header: String = cells.map(|(column, text)| format!(r#"<c r="{column}1" t="s"><v>{text}</v></c>"#)).collect();
        write!(part, r#"<row r="1">{header}</row>"#)?;
        for (n, (person, [name, language, city])) in people.iter().enumerate() {
            let row = n + 2;
            write!(
                part,
                r#"<row r="{row}"><c r="A{row}" t="s"><v>{}</v></c><c r="B{row}" t="s"><v>{name}</v></c>"#,
                phones + n
            )?;
            write!(
                part,
                r#"<c r="C{row}" t="s"><v>{language}</v></c><c r="D{row}" t="s"><v>{city}</v></c><c r="E{row}"><v>{}</v></c></row>"#,
                person.points
            )?;
        }
        part.write_all(b"</sheetData></worksheet>")
    });
    book.part("xl/sharedStrings.xml", |part| {
        part.write_all(br#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">"#)?;
        for text in texts.iter().chain(people.iter().map(|(person, _)| &person.phone)) {
            write!(part, "<si><t>{text}</t></si>")?;
        }
        part.write_all(b"</sst>")
    });
    book.0.finish().expect("a workbook").into_inner().expect("the disk has room").sync_all().expect("a file");
    path.display().to_string()
}

struct Workbook(zip::ZipWriter<BufWriter<File>>);

impl Workbook {
    fn part(&mut self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        self.0.start_file(name, SimpleFileOptions::default()).expect("a part");
        let mut part = BufWriter::new(&mut self.0);
        write(&mut part).and_then(|()| part.flush()).expect("the disk has room");
    }
}

const SHEET: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#;

/// What a workbook has beside its one sheet and the texts.
const PARTS: [(&str, &str); 4] = [
    (
        "[Content_Types].xml",
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/><Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>"#,
    ),
    (
        "_rels/.rels",
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
    ),
    (
        "xl/workbook.xml",
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>"#,
    ),
];
