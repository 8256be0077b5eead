//! A database of every released schema is brought to this one, and what was in it goes on working.

use keyfold_domain::key::{KeyFilter, StateFilter};
use keyfold_domain::verdict::Code;
use keyfold_engine::DatabaseUrl;

use crate::support::{Instance, On, operator};

/// Made by the version with schema 1, on each engine: the secrets that were printed then.
const SQLITE: [&str; 5] = [
    "kf_sec_UsOVdMrKV6UmUuZpzpsG5YmZzbJ05X1RaOrKzdI1Jll0itbim",
    "kf_adm_dr2iPKgv7C9eUcpwDDAg6zbBIM5YWNHKYjHWkrworik0KCSmI",
    "kf_sec_7dsQJqed0EZm4wVqwVsUCIuXckLRDPDoUIIaTma8OGQ0ur5io",
    "kf_sec_l9A5WjfgaRspcYsM07wCUh8sAOivxCyJ5735Wv5tPQe0ewoNC",
    "kf_sec_mbsPBNdFOtETp8c8iKrQV7rHE0DnplXfHrJ3w6ITsA72CLcxa",
];
const POSTGRES: [&str; 5] = [
    "kf_sec_bMCig0SvhSlnU29MWUd5nXceBdCg90AEZykDIVnUtJw0v9cAM",
    "kf_adm_gT5uag0RAyrpBdCSitDbPjmNbkl4Ma2oImMhYwrCxFR0fpw20",
    "kf_sec_l1R5bPz5KmRyNOIYnEMsrlb0yuig5LXggZKidTXWIWb0am6EZ",
    "kf_sec_4YetZZmZOZcCOvi5rzI3QcoEv98SCTxdQHoy0O9SK5F3uOSN8",
    "kf_sec_VUJhlyXqlula6G3dA2IcAaeAg2qX4V549IchBAYwell3b6sSP",
];

async fn schema_1_is_upgraded(on: On, secrets: [&str; 5]) {
    let dumps = (include_str!("fixtures/schema_1_sqlite.sql"), include_str!("fixtures/schema_1_postgres.sql"));
    let Some(instance) = Instance::from_dump(on, dumps.0, dumps.1).await else { return };
    let engine = &instance.engine;
    // One that works, the operator's own, one nobody used for a month, one deleted and one stopped.
    let codes = [Code::Valid, Code::Valid, Code::Dormant, Code::NotFound, Code::Deactivated];
    for (secret, code) in secrets.into_iter().zip(codes) {
        assert_eq!(engine.verifier.whoami(secret, None).unwrap().code, code, "{secret}");
    }
    let acme = engine.workspaces.get(&operator(), "acme").await.unwrap();
    let all = KeyFilter { state: StateFilter::All, ..KeyFilter::default() };
    assert_eq!(engine.keys.list(&operator(), &acme.id, &all).await.unwrap().items.len(), 5);
    for (search, found) in [("sleep", 1), (" STOPPED", 1), ("op", 2), ("zzz", 0)] {
        let filter = KeyFilter { search: search.into(), ..all.clone() };
        assert_eq!(engine.keys.list(&operator(), &acme.id, &filter).await.unwrap().items.len(), found, "{search}");
    }
    instance.sign_in("linus").await;
    let report = engine.audit.verify_chains(&operator()).await.unwrap();
    assert_eq!(report.broken, None);
    assert!(report.events >= 12, "{report:?}");
    if let DatabaseUrl::Sqlite(path) = &instance.database {
        use std::os::unix::fs::PermissionsExt as _;
        let copy = path.with_file_name("keyfold.db.schema-1");
        let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a copy of the database is for its owner alone");
        assert!(!path.with_file_name("keyfold.db.schema-1.part").exists());
        // It is a whole database of the old schema, from which this version can start as well.
        std::fs::copy(&copy, path.with_file_name("again.db")).unwrap();
        let again = keyfold_engine::testing::open(DatabaseUrl::Sqlite(path.with_file_name("again.db")), &instance.clock, 2).await.unwrap();
        assert_eq!(again.verifier.whoami(secrets[0], None).unwrap().code, Code::Valid);
    }
}

#[tokio::test]
async fn a_database_of_schema_1_is_upgraded_on_sqlite() {
    schema_1_is_upgraded(On::Sqlite, SQLITE).await;
}

#[tokio::test]
async fn a_database_of_schema_1_is_upgraded_on_postgres() {
    schema_1_is_upgraded(On::Postgres, POSTGRES).await;
}
