//! Tests of connections to PostgreSQL: over TLS with a private authority, or by a Unix socket.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::Row as _;
use vestibule::storage::chain;

use crate::database::{TestDatabase, open};
use crate::postgres::{cluster, own_cluster};

/// Creates an authority and a certificate for this name; returns the authority's certificate.
fn certify(folder: &Path, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new([name.to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("server.crt"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("more.conf"), "ssl = on\n").unwrap();
    root
}

#[tokio::test]
async fn tls_connection_requires_a_certificate_with_the_host_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (folder.path().join("root.pem"), folder.path().join("other.pem"));
    let other = tempfile::tempdir().unwrap();
    std::fs::write(&others, certify(other.path(), "localhost")).unwrap();
    let files = tempfile::tempdir().unwrap();
    std::fs::write(&ours, certify(files.path(), "localhost")).unwrap();
    let Some(cluster) = own_cluster(Some(files.path())) else { return };
    let url = cluster.new_database();
    let with = |url: &str, root: &Path| {
        format!("{url}?sslmode=verify-full&sslrootcert={}", root.display())
    };

    let by_name = url.replace("127.0.0.1", "localhost");
    let store = open(&with(&by_name, &ours)).await.unwrap();
    let db = TestDatabase { store, url: with(&by_name, &ours), folder: None };
    let sql = "SELECT CAST(ssl AS TEXT) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = sqlx::query(sql).fetch_one(&mut db.raw().await).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "true");
    db.account("ada@example.org").await;

    let error = open(&with(&url, &ours)).await.unwrap_err();
    assert!(chain(&error).contains("not valid for name"), "{error:?}");
    let error = open(&with(&by_name, &others)).await.unwrap_err();
    assert!(chain(&error).contains("certificate"), "{error:?}");
    let plain = self::cluster().unwrap().new_database().replace("127.0.0.1", "localhost");
    let error = open(&with(&plain, &ours)).await.unwrap_err();
    assert!(chain(&error).contains("does not support TLS"), "{error:?}");
}

#[tokio::test]
async fn connection_over_a_unix_socket_works() {
    let Some(db) = TestDatabase::postgres().await else { return };
    let Some(folder) = db.text("SELECT current_setting('unix_socket_directories')").await else {
        return;
    };
    // the folder's path may be too long for a socket
    if folder.is_empty() {
        return;
    }
    let (port, name) = (cluster().unwrap().port(), db.url.rsplit('/').next().unwrap());
    let url = format!("postgres:///{name}?host={folder}&port={port}&user=postgres");
    let store = open(&url).await.unwrap();
    let db = TestDatabase { store, url, folder: None };
    db.account("ada@example.org").await;
}
