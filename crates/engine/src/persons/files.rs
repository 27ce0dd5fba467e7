//! The files beside the database that may hold a person: those of rejected rows.

use std::path::{Path, PathBuf};

/// Digits at the end of a number that are enough to take a rejected row for theirs, however it is written.
const ENOUGH: usize = 8;

/// A text without these names in it, whatever stands between their digits.
pub(super) fn without(text: &str, names: &[String]) -> String {
    if names.iter().any(|name| text.contains(name.as_str())) || is_theirs(text, names) {
        return "(it named the person)".to_owned();
    }
    text.to_owned()
}

/// Whether a cell names the person.
fn is_theirs(cell: &str, names: &[String]) -> bool {
    let digits: String = cell.chars().filter_map(|c| c.to_digit(10)).filter_map(|d| char::from_digit(d, 10)).collect();
    names.iter().any(|name| {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        match name.len().checked_sub(ENOUGH).and_then(|from| name.get(from..)) {
            Some(end) if is_number => digits.contains(end),
            _ => cell.contains(name.as_str()),
        }
    })
}

/// Removes the person's rows from every file of rejected rows. How many went.
pub(super) async fn forget(data_dir: &Path, names: &[String]) -> anyhow::Result<u64> {
    let (dir, names) = (data_dir.join("rejects"), names.to_vec());
    tokio::task::spawn_blocking(move || {
        let Ok(files) = std::fs::read_dir(&dir) else { return Ok(0) };
        let mut gone = 0;
        for file in files {
            gone += forget_in(&file?.path(), &names)?;
        }
        Ok(gone)
    })
    .await?
}

/// A file is replaced whole, and only if a row of it goes.
fn forget_in(path: &PathBuf, names: &[String]) -> anyhow::Result<u64> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path)?;
    let draft = path.with_extension("erasing");
    let mut writer = csv::WriterBuilder::new().flexible(true).from_path(&draft)?;
    let mut gone = 0;
    for (place, row) in reader.byte_records().enumerate() {
        let row = row?;
        let theirs = place > 0 && row.iter().any(|cell| is_theirs(&String::from_utf8_lossy(cell), names));
        if theirs {
            gone += 1;
        } else {
            writer.write_byte_record(&row)?;
        }
    }
    writer.flush()?;
    if gone == 0 {
        std::fs::remove_file(&draft)?;
    } else {
        std::fs::rename(&draft, path)?;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_rejected_rows_go_however_their_number_is_written_and_the_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rejects")).unwrap();
        let file = dir.path().join("rejects/import-1.csv");
        let rows =
            "phone,name,reason\n0100 555-0001,Mona,national\n+20 100 555 0002,Omar,late\n٠١٠٠٥٥٥٠٠٠١,Mona,twice\n";
        std::fs::write(&file, rows).unwrap();
        let names = vec!["201005550001".to_owned(), "EG.1349abc".to_owned()];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(
            runtime.block_on(forget(dir.path(), &names)).unwrap(),
            1 + u64::from(is_theirs("٠١٠٠٥٥٥٠٠٠١", &names))
        );
        let left = std::fs::read_to_string(&file).unwrap();
        assert!(left.contains("Omar") && left.starts_with("phone,name") && !left.contains("555-0001"), "{left}");
        assert_eq!(std::fs::read_dir(dir.path().join("rejects")).unwrap().count(), 1);
        assert_eq!(without("asked by letter", &names), "asked by letter");
        assert!(!without("letter of 0100 555 0001", &names).contains("555"));
    }
}
