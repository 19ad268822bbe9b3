//! SIGTERM, at any moment. The usual grace of thirty seconds is longer than any attempt of this
//! contract takes, so nothing is given up.

use super::world::World;

/// The longest that a life under load goes on, in milliseconds.
const LIFE_MS: f64 = 1_500.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_loses_and_repeats_nothing() {
    let mut world = World::new().await;
    let mut rounds = 0;
    while world.goes_on() {
        rounds += 1;
        let server = world.start();
        let callers = world.callers.begin(server.address);
        tokio::time::sleep(world.moment(LIFE_MS)).await;
        let (status, output) = server.terminate();
        assert!(status.success() && output.lines().count() == 1, "{output}");
        callers.join_all().await;
    }
    let verdict = world.judge().await;
    eprintln!("SIGTERM, {rounds} rounds: {verdict}");
    assert!(verdict.killed == 0 && verdict.acknowledged > 0);
    assert_eq!(verdict.repeated, 0);
    // Also no answer was lost on the way.
    assert_eq!(verdict.accepted, verdict.acknowledged as u64);
}
