//! A database that is put back from a copy under a worker that runs.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{NUMBER, World};
use engine::{host, worker};
use store::testing::Database;
use tokio_util::sync::CancellationToken;

store::on_both_databases! {
    async fn a_worker_whose_database_was_replaced_by_an_older_one_sends_nothing_and_ends(db: Database) {
        let world = World::new(db).await;
        let app = Arc::clone(&world.app);
        let scheduler = world.scheduler(&app);
        world.launched(100).await;
        // What this directory saw of the lane before: the database knows nothing of so many beats.
        let lane = worker::lane_name(app.store.number_of_meta(NUMBER).await.unwrap().unwrap().id);
        let marks = world.dir.path().join("high-water");
        std::fs::create_dir_all(&marks).unwrap();
        std::fs::write(marks.join(format!("{}.{lane}", app.install)), "3 4711 1795305600000\n").unwrap();
        let run = worker::run(app, CancellationToken::new(), host::new_instance());
        let ended = tokio::time::timeout(Duration::from_secs(20), run).await.expect("it ends by itself");
        let said = ended.expect_err("a start has to look again").to_string();
        assert!(said.contains("older"), "{said}");
        assert_eq!(world.simulator.report().accepted, 0);
        scheduler.stop().await;
    }
}
