//! DynamoDB over its own wire protocol, with the template's table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_local_aws::door::Door;
use holdfast_local_aws::dynamodb::{DynamoDb, DynamoDbError, Storage};
use holdfast_local_aws::sts;
use holdfast_local_aws::template::Template;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn template() -> Template {
    Template::load(&Template::default_path()).unwrap()
}

async fn start(storage: Storage) -> DynamoDb {
    DynamoDb::start(&storage, 0, &template(), "holdfast")
        .await
        .unwrap()
}

/// Posts a body and returns status and body of the answer.
async fn post(endpoint: &str, headers: &str, body: &str) -> (u16, String) {
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn call(dynamodb: &DynamoDb, operation: &str, body: Value) -> (u16, Value) {
    let headers = format!(
        "content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
         x-amz-date: 20261123T030000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential=local/20261123/eu-central-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=00\r\n"
    );
    let (status, body) = post(&dynamodb.endpoint(), &headers, &body.to_string()).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn item(pk: &str, sk: &str, n: u32) -> Value {
    json!({"pk": {"S": pk}, "sk": {"S": sk}, "n": {"N": n.to_string()}})
}

#[tokio::test]
async fn an_item_put_over_http_is_read_in_process_and_the_other_way_round() {
    let dynamodb = start(Storage::Memory).await;
    let put = json!({"TableName": "holdfast", "Item": item("a", "1", 1)});
    let (status, answer) = call(&dynamodb, "PutItem", put).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        dynamodb.get_item("a", "1").unwrap(),
        Some(item("a", "1", 1))
    );

    dynamodb.put_item(item("a", "2", 2)).unwrap();
    let key = json!({"pk": {"S": "a"}, "sk": {"S": "2"}});
    let get = json!({"TableName": "holdfast", "Key": key});
    let (status, answer) = call(&dynamodb, "GetItem", get).await;
    assert_eq!((status, &answer["Item"]), (200, &item("a", "2", 2)));

    dynamodb.delete_item("a", "1").unwrap();
    assert_eq!(dynamodb.get_item("a", "1").unwrap(), None);
    assert_eq!(dynamodb.items().unwrap(), [item("a", "2", 2)]);
}

#[tokio::test]
async fn a_condition_that_fails_returns_the_item_that_won() {
    let dynamodb = start(Storage::Memory).await;
    dynamodb.put_item(item("lease", "x", 1)).unwrap();
    let put = json!({
        "TableName": "holdfast",
        "Item": item("lease", "x", 2),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    let (status, answer) = call(&dynamodb, "PutItem", put).await;
    assert_eq!(status, 400);
    let kind = answer["__type"].as_str().unwrap();
    assert!(kind.ends_with("ConditionalCheckFailedException"), "{kind}");
    assert_eq!(answer["Item"], item("lease", "x", 1));
}

#[tokio::test]
async fn the_table_expires_items_by_the_templates_attribute() {
    let dynamodb = start(Storage::Memory).await;
    let (_, answer) = call(
        &dynamodb,
        "DescribeTimeToLive",
        json!({"TableName": "holdfast"}),
    )
    .await;
    let expiry = &answer["TimeToLiveDescription"];
    assert_eq!(expiry["AttributeName"], "expires_at");
    assert_eq!(expiry["TimeToLiveStatus"], "ENABLED");
}

#[tokio::test]
async fn a_listing_over_one_megabyte_is_read_to_the_last_page() {
    let dynamodb = start(Storage::Memory).await;
    for n in 0..5 {
        let mut large = item("big", &n.to_string(), n);
        large["text"] = json!({"S": "x".repeat(300_000)});
        dynamodb.put_item(large).unwrap();
    }
    assert_eq!(dynamodb.items().unwrap().len(), 5);
}

#[tokio::test]
async fn a_file_keeps_the_table_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::File(folder.path().join("table.db"));
    let first = start(storage.clone()).await;
    first.put_item(item("a", "1", 1)).unwrap();
    drop(first);
    let second = start(storage).await;
    assert_eq!(second.items().unwrap(), [item("a", "1", 1)]);
}

#[tokio::test]
async fn a_file_with_another_key_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::File(folder.path().join("table.db"));
    drop(start(storage.clone()).await);
    let other = std::fs::read_to_string(Template::default_path())
        .unwrap()
        .replace("AttributeName: sk", "AttributeName: other");
    let other = Template::parse(&other).unwrap();
    let refused = DynamoDb::start(&storage, 0, &other, "holdfast").await;
    assert!(matches!(
        refused.err(),
        Some(DynamoDbError::OtherSchema { .. })
    ));
}

#[tokio::test]
async fn sts_tells_the_account_and_refuses_everything_else() {
    let door = Door::open(sts::router("111122223333"), 0).await.unwrap();
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let (status, answer) = post(&door.endpoint(), "", body).await;
    assert_eq!(status, 200);
    assert!(
        answer.contains("<Account>111122223333</Account>"),
        "{answer}"
    );
    let (status, answer) = post(&door.endpoint(), "", "Action=AssumeRole").await;
    assert_eq!(status, 400);
    assert!(answer.contains("<Code>InvalidAction</Code>"), "{answer}");
}
