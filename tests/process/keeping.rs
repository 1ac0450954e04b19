//! `vestibule db …` beside a running service.

use crate::program::{Program, Said};
use crate::{ADA, activate, me, postgres, refresh, sign_in, sign_up};

fn done(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn r56_a_backup_of_a_running_service_is_started_from_after_everybody_is_signed_out() {
    let program = Program::start(&[]);
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    done(&program.tell(&["db", "backup", "backup.db"], ""));
    let again = program.tell(&["db", "backup", "backup.db"], "");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("there already"), "{again:?}");
    let document = program.tell(&["db", "backup", "backup.db", "--force", "--json"], "").document();
    assert!(document["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    // what is done later is not in it
    assert_eq!(refresh(&program, &tokens["refresh_token"]).status, 200);

    let mut restored = Program::prepare(&[]);
    std::fs::create_dir(restored.path("data")).expect("a folder");
    std::fs::copy(program.path("backup.db"), restored.path("data/vestibule.db")).expect("a copy");
    let refused = restored.tell(&["db", "end-sessions"], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let ended = restored.tell(&["db", "end-sessions", "--yes", "--json"], "").document();
    assert_eq!(ended["ended"], 1);
    restored.start_again();
    assert_eq!(me(&restored, &tokens["access_token"]).status, 401);
    let tokens = sign_in(&restored, ADA);
    assert_eq!(me(&restored, &tokens["access_token"]).status, 200);
}

#[test]
fn a_service_moves_to_postgres_with_all_that_it_has() {
    let Some(cluster) = postgres::cluster() else { return };
    let (url, program) = (cluster.new_database(), Program::start(&[]));
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    std::fs::write(program.path("url"), format!("{url}\n")).expect("a file");
    let moved = program.tell(&["db", "copy", "--to-file", "url"], "");
    done(&moved);
    assert!(moved.stderr.contains("accounts: 1"), "{moved:?}");
    let again = program.tell(&["db", "copy", "--to-file", "url"], "");
    assert!(again.code == Some(1) && again.stderr.contains("not empty"), "{again:?}");

    let there = Program::start(&[("DATABASE_URL", url)]);
    assert_eq!(me(&there, &tokens["access_token"]).status, 200, "nobody is signed out");
    assert_eq!(refresh(&there, &tokens["refresh_token"]).status, 200);
    let document = there.tell(&["db", "check", "--json"], "").document();
    assert_eq!(document["problems"], serde_json::json!([]));
    let said = there.tell(&["db", "backup", "file"], "");
    assert!(said.code == Some(1) && said.stderr.contains("pg_dump"), "{said:?}");
}

#[test]
fn a_check_fails_when_something_is_wrong() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    done(&program.tell(&["db", "check"], ""));
    let url = format!("sqlite://{}", program.path("data/vestibule.db").display());
    let database = crate::database::Database::at(url);
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 2");
    let said = program.tell(&["db", "check", "--json"], "");
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("not all is well"), "{said:?}");
}
