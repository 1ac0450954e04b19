use rocket::http::Status;
use vestibule::testing::TestApp;

#[rocket::async_test]
async fn whole_path() {
    let app = TestApp::start().await;
    let ada = app.signed_in("ada@example.org").await;
    assert_eq!(ada.get("/v1/me").dispatch().await.status(), Status::Ok);
}
