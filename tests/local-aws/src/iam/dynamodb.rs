//! What the calls of DynamoDB demand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::demand::Demand;

/// Attribute that is the partition key of the project's table.
const PARTITION_KEY: &str = "pk";
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// The demands of a request: `target` is its header `x-amz-target`, such as
/// `DynamoDB_20120810.PutItem`.
///
/// There is no permission for a transaction: it needs those of what it does (DynamoDB Developer
/// Guide, "Using IAM with DynamoDB transactions"). Each demand carries the partition keys of the
/// whole request as `dynamodb:LeadingKeys`: AWS does not say whether a transaction is asked about
/// item by item or at once, and a role that passes at once passes item by item as well. A request
/// that cannot be read demands nothing; DynamoDB refuses it.
#[must_use]
pub fn demands(target: &str, body: &[u8], region: &str, account_id: &str) -> Vec<Demand> {
    let Some((_, operation)) = target.split_once('.') else {
        return Vec::new();
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut needed = Needed::default();
    match operation {
        "TransactWriteItems" | "TransactGetItems" => {
            for item in body["TransactItems"].as_array().into_iter().flatten() {
                for (what, one) in item.as_object().into_iter().flatten() {
                    let action = match what.as_str() {
                        "Put" => "PutItem",
                        "Update" => "UpdateItem",
                        "Delete" => "DeleteItem",
                        "Get" => "GetItem",
                        "ConditionCheck" => "ConditionCheckItem",
                        other => other,
                    };
                    needed.action(action, &one["TableName"]);
                    needed.key(one.get("Key").or_else(|| one.get("Item")));
                }
            }
        }
        "BatchGetItem" => {
            for (table, of_table) in body["RequestItems"].as_object().into_iter().flatten() {
                needed.action(operation, &Value::from(table.as_str()));
                for key in of_table["Keys"].as_array().into_iter().flatten() {
                    needed.key(Some(key));
                }
            }
        }
        "BatchWriteItem" => {
            for (table, requests) in body["RequestItems"].as_object().into_iter().flatten() {
                needed.action(operation, &Value::from(table.as_str()));
                for request in requests.as_array().into_iter().flatten() {
                    let put = request["PutRequest"].get("Item");
                    needed.key(put.or_else(|| request["DeleteRequest"].get("Key")));
                }
            }
        }
        "Query" => {
            needed.action(operation, &body["TableName"]);
            needed.value(queried(&body));
        }
        "GetItem" | "UpdateItem" | "DeleteItem" => {
            needed.action(operation, &body["TableName"]);
            needed.key(body.get("Key"));
        }
        "PutItem" => {
            needed.action(operation, &body["TableName"]);
            needed.key(body.get("Item"));
        }
        // A Scan among them: it names no key, and AWS has none to put to a condition.
        other => needed.action(other, &body["TableName"]),
    }
    needed.demands(region, account_id)
}

/// What a request does to which tables, and to which partitions.
#[derive(Default)]
struct Needed {
    actions: BTreeSet<(String, String)>,
    keys: BTreeSet<String>,
}

impl Needed {
    fn action(&mut self, action: &str, table: &Value) {
        let table = table.as_str().unwrap_or("*");
        // A request may name its table by ARN too.
        let table = table.rsplit('/').next().unwrap_or(table);
        let action = format!("dynamodb:{action}");
        self.actions.insert((action, table.to_owned()));
    }

    /// The partition of an item or key, as attribute values by name.
    fn key(&mut self, attributes: Option<&Value>) {
        self.value(attributes.and_then(|attributes| attributes[PARTITION_KEY]["S"].as_str()));
    }

    /// A partition; one that cannot be read counts as the empty key, which no pattern but `*` admits.
    fn value(&mut self, key: Option<&str>) {
        self.keys.insert(key.unwrap_or_default().to_owned());
    }

    fn demands(self, region: &str, account_id: &str) -> Vec<Demand> {
        let keys: Vec<String> = self.keys.into_iter().collect();
        let actions = self.actions.into_iter();
        actions
            .map(|(action, table)| {
                let arn = format!("arn:aws:dynamodb:{region}:{account_id}:table/{table}");
                let demand = Demand::new(action, arn);
                match keys.is_empty() {
                    true => demand,
                    false => demand.with_all(LEADING_KEYS, keys.clone()),
                }
            })
            .collect()
    }
}

/// The partition that a query's key condition names: `pk = :value`, beside others joined by `AND`.
fn queried(body: &Value) -> Option<&str> {
    let names: BTreeMap<&str, &str> = body["ExpressionAttributeNames"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(alias, name)| Some((alias.as_str(), name.as_str()?)))
        .collect();
    let expression = body["KeyConditionExpression"].as_str()?;
    let value = expression.split(" AND ").find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim();
        let name = names.get(name).copied().unwrap_or(name);
        (name == PARTITION_KEY).then(|| value.trim())
    })?;
    body["ExpressionAttributeValues"][value]["S"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(operation: &str, body: &Value) -> Vec<String> {
        let target = format!("DynamoDB_20120810.{operation}");
        let body = body.to_string();
        let demands = demands(&target, body.as_bytes(), "r", "1");
        let show = |d: Demand| format!("{} {}", d.action, d.resource.unwrap_or_default());
        demands.into_iter().map(show).collect()
    }

    #[test]
    fn a_call_demands_its_own_action_on_its_table() {
        assert_eq!(
            shown("Query", &json!({"TableName": "holdfast"})),
            ["dynamodb:Query arn:aws:dynamodb:r:1:table/holdfast"]
        );
        let items = json!({"RequestItems": {"holdfast": {"Keys": []}}});
        assert_eq!(
            shown("BatchGetItem", &items),
            ["dynamodb:BatchGetItem arn:aws:dynamodb:r:1:table/holdfast"]
        );
    }

    #[test]
    fn a_transaction_demands_what_it_does() {
        let one = json!({"TableName": "t"});
        let body = json!({"TransactItems": [
            {"Put": one}, {"Put": one}, {"Delete": one}, {"ConditionCheck": one},
        ]});
        assert_eq!(
            shown("TransactWriteItems", &body),
            [
                "dynamodb:ConditionCheckItem arn:aws:dynamodb:r:1:table/t",
                "dynamodb:DeleteItem arn:aws:dynamodb:r:1:table/t",
                "dynamodb:PutItem arn:aws:dynamodb:r:1:table/t",
            ]
        );
    }

    /// The partition keys that each demand of a request carries.
    fn partitions(operation: &str, body: &Value) -> Vec<Vec<String>> {
        let target = format!("DynamoDB_20120810.{operation}");
        let body = body.to_string();
        let demands = demands(&target, body.as_bytes(), "r", "1");
        let keys = |d: Demand| d.context.get(LEADING_KEYS).cloned().unwrap_or_default();
        demands.into_iter().map(keys).collect()
    }

    #[test]
    fn a_demand_carries_the_partition_of_the_item_whatever_the_call() {
        let key = json!({"pk": {"S": "node#a"}, "sk": {"S": "node"}});
        for (operation, body) in [
            ("GetItem", json!({"TableName": "t", "Key": key})),
            ("UpdateItem", json!({"TableName": "t", "Key": key})),
            ("DeleteItem", json!({"TableName": "t", "Key": key})),
            ("PutItem", json!({"TableName": "t", "Item": key})),
            (
                "Query",
                json!({"TableName": "t", "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
                       "ExpressionAttributeValues": {":pk": {"S": "node#a"}, ":sk": {"S": "in#"}}}),
            ),
            (
                "Query",
                json!({"TableName": "t", "KeyConditionExpression": "#k = :pk",
                       "ExpressionAttributeNames": {"#k": "pk"},
                       "ExpressionAttributeValues": {":pk": {"S": "node#a"}}}),
            ),
            (
                "BatchGetItem",
                json!({"RequestItems": {"t": {"Keys": [key]}}}),
            ),
            (
                "BatchWriteItem",
                json!({"RequestItems": {"t": [{"DeleteRequest": {"Key": key}}]}}),
            ),
        ] {
            assert_eq!(partitions(operation, &body), [["node#a"]], "{operation}");
        }
    }

    #[test]
    fn every_demand_of_a_transaction_carries_all_its_partitions() {
        let body = json!({"TransactItems": [
            {"Put": {"TableName": "t", "Item": {"pk": {"S": "node#a"}}}},
            {"Delete": {"TableName": "t", "Key": {"pk": {"S": "absent"}}}},
        ]});
        let all = ["absent", "node#a"];
        assert_eq!(partitions("TransactWriteItems", &body), [all, all]);
    }

    #[test]
    fn a_partition_that_cannot_be_read_is_one_that_nothing_names() {
        let odd = json!({"TableName": "t", "KeyConditions": {}});
        assert_eq!(partitions("Query", &odd), [[""]]);
        // Not so a scan: AWS has no keys for it, and a condition on all of none holds.
        let scan = json!({"TableName": "t"});
        assert_eq!(partitions("Scan", &scan), [[""; 0]]);
    }
}
