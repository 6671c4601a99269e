use super::super::fake::{Asked, Fake, Told, all, client, json, parsed, settings, until_error};
use super::super::rows::{Ticket, TimeEntry};
use super::*;
use serde_json::json;

fn ticket_69() -> Value {
    json!({
        "id": 69, "summary": "Cannot access email", "recordType": "ServiceTicket",
        "board": {"id": 1, "name": "Service", "_info": {"board_href": "https://h/boards/1"}},
        "status": {"id": 16, "name": "In Progress"},
        "company": {"id": 24, "identifier": "Acme", "name": "Acme Corp"},
        "priority": {"id": 4, "name": "Priority 2 - High", "sort": 3},
        "owner": {"id": 3, "identifier": "tech1", "name": "Ada Tech"},
        "budgetHours": 1.5, "closedDate": "2026-01-21T10:00:00Z", "closedFlag": true,
        "slaStatus": "Resolved by Wed 01/21 10:00 AM UTC+00", "isInSla": true, "sla": {"id": 1, "name": "Standard"},
        "severity": "Medium", "impact": "Medium", "customFields": null, "initialDescription": null,
        "_info": {"lastUpdated": "2026-01-21T10:00:05Z", "updatedBy": "tech1", "dateEntered": "2026-01-20T09:00:00Z"}
    })
}

fn entry_1400() -> Value {
    json!({
        "id": 1400, "chargeToId": 69, "chargeToType": "ServiceTicket",
        "member": {"id": 3, "identifier": "tech1", "name": "Ada Tech"},
        "workType": {"id": 7, "name": "Remote Support"},
        "timeStart": "2026-01-20T23:15:00Z", "timeEnd": "2026-01-21T00:00:00Z", "actualHours": 0.33,
        "billableOption": "Billable", "notes": "Restarted the service.", "internalNotes": "do not show",
        "_info": {"lastUpdated": "2026-01-21T00:01:00Z"}
    })
}

fn account(fake: &Fake) -> ConnectWise {
    let account = json!({
        "url": fake.url, "company": "acme", "public_key": "pub", "private_key": "hunter2", "client_id": "hunter2-id",
        "priorities": {"Drop everything": "Critical"}, "requests_per_second": 1000
    });
    ConnectWise::new(settings(account), client())
}

async fn serving(page: Value) -> Fake {
    Fake::start(move |_| Told::from(page.clone())).await
}

#[tokio::test]
async fn a_ticket_has_every_field() {
    let fake = serving(json!([ticket_69()])).await;
    let rows = all(account(&fake).tickets("tenant_a", None)).await;
    let wanted = json!({
        "tenant_id": "tenant_a", "cw_ticket_id": "69", "board": "Service", "status": "In Progress",
        "priority": "High", "summary": "Cannot access email", "company": "Acme Corp", "owner": "tech1",
        "created_at_remote": "2026-01-20T09:00:00Z", "updated_at_remote": "2026-01-21T10:00:05Z",
        "closed_at_remote": "2026-01-21T10:00:00Z", "closed_flag": true, "sla_status": "Resolved by Wed 01/21 10:00 AM UTC+00",
        "estimated_hours": 1.5
    });
    assert_eq!(json(&rows[0]), wanted);
    let row: Ticket = parsed(&rows[0]).expect("a good row");
    assert_eq!(serde_json::to_value(row).unwrap(), wanted);
    assert_eq!(&*rows[0].origin, format!("{}/v4_6_release/apis/3.0/service/tickets", fake.url));
    assert_eq!(rows[0].line, 1);
    let asked = &fake.asked()[0];
    // acme+pub:hunter2
    assert_eq!(asked.header("authorization"), "Basic YWNtZStwdWI6aHVudGVyMg==");
    assert_eq!(asked.header("clientid"), "hunter2-id");
}

#[tokio::test]
async fn older_and_poorer_tickets_are_understood() {
    let mut old = ticket_69();
    old["dateEntered"] = json!("2005-05-27T17:30:19Z");
    old["_info"].as_object_mut().unwrap().remove("dateEntered");
    (old["slaStatus"], old["closedDate"], old["owner"]) = (json!(""), json!(null), json!(null));
    old["initialDescription"] = json!("Outlook");
    old["_info"]["lastUpdated"] = json!("2026-01-21T10:00:05");
    let mut none = old.clone();
    (none["sla"], none["priority"]["name"]) = (json!(null), json!("Drop everything"));
    let mut bad = old.clone();
    (bad["status"], bad["priority"]) = (json!(null), json!({"id": 1, "name": "Priority 5"}));
    let mut project = old.clone();
    project["recordType"] = json!("ProjectTicket");
    let fake = serving(json!([old, none, bad, 12, project])).await;
    let rows = all(account(&fake).tickets("tenant_a", None)).await;
    assert_eq!(rows.len(), 4);
    let first: Ticket = parsed(&rows[0]).expect("good");
    assert_eq!(first.created_at_remote.to_rfc3339(), "2005-05-27T17:30:19+00:00");
    assert_eq!(first.updated_at_remote.to_rfc3339(), "2026-01-21T10:00:05+00:00", "its times are UTC");
    assert_eq!((first.sla_status.as_deref(), first.owner, first.closed_at_remote), (Some("OK"), None, None));
    assert_eq!(first.description.as_deref(), Some("Outlook"));
    let second: Ticket = parsed(&rows[1]).expect("good");
    assert_eq!((second.sla_status, second.priority.as_str()), (None, "Critical"));
    assert_eq!(json(&rows[2])["priority"], "Priority 5");
    assert_eq!(parsed::<Ticket>(&rows[2]).unwrap_err(), "status: is missing");
    assert_eq!(parsed::<Ticket>(&rows[3]).unwrap_err(), "cw_ticket_id: is missing");
}

#[tokio::test]
async fn a_time_entry_has_every_field() {
    let fake = serving(json!([entry_1400()])).await;
    let rows = all(account(&fake).time_entries("tenant_a", None)).await;
    let wanted = json!({
        "tenant_id": "tenant_a", "cw_time_entry_id": "1400", "cw_ticket_id": "69", "member": "tech1",
        "work_type": "Remote Support", "billable": true, "minutes": 20, "notes": "Restarted the service.",
        "date_worked": "2026-01-20T23:15:00Z", "updated_at_remote": "2026-01-21T00:01:00Z"
    });
    assert_eq!(json(&rows[0]), wanted);
    let row: TimeEntry = parsed(&rows[0]).expect("a good row");
    assert_eq!(row.date_worked.to_string(), "2026-01-20", "in UTC");
    assert_eq!(row.updated_at_remote.unwrap().to_rfc3339(), "2026-01-21T00:01:00+00:00");
    assert!(fake.targets()[0].starts_with("/v4_6_release/apis/3.0/time/entries?"));
}

#[tokio::test]
async fn time_on_no_ticket_is_left_out_and_bad_time_is_told() {
    let with = |field: &str, value: Value| {
        let mut entry = entry_1400();
        entry[field] = value;
        entry
    };
    let fake = serving(json!([
        with("chargeToType", json!("ChargeCode")),
        with("chargeToType", json!("ProjectTicket")),
        with("billableOption", json!("DoNotBill")),
        with("chargeToType", json!(null)),
        with("actualHours", json!(null)),
        with("actualHours", json!(1e300)),
        with("actualHours", json!("long")),
        with("timeStart", json!("yesterday")),
    ]))
    .await;
    let rows = all(account(&fake).time_entries("tenant_a", None)).await;
    assert_eq!(
        rows.iter().map(|it| it.line).collect::<Vec<_>>(),
        [3, 4, 5, 6, 7, 8],
        "objects keep their numbers"
    );
    assert!(!parsed::<TimeEntry>(&rows[0]).expect("good").billable);
    let reason = |at: usize| parsed::<TimeEntry>(&rows[at]).unwrap_err();
    assert_eq!(reason(1), "cw_ticket_id: is missing");
    assert_eq!(reason(2), "minutes: is missing");
    assert!(reason(3).ends_with("(31 days)"), "{}", reason(3));
    assert!(reason(4).starts_with("minutes: invalid type"), "{}", reason(4));
    assert!(reason(5).ends_with("is not a date"), "{}", reason(5));
}

/// Pages of the given sizes, with a `Link` header where one follows.
async fn paged(sizes: &'static [usize], links: bool) -> Fake {
    Fake::start(move |asked: &Asked| {
        let number =
            asked.target.rsplit_once("&page=").expect("a page").1.parse::<usize>().expect("a number");
        let ticket = |at| {
            let mut ticket = ticket_69();
            ticket["id"] = json!(1000 * number + at);
            ticket
        };
        let items: Vec<_> = (0..sizes.get(number - 1).copied().unwrap_or(0)).map(ticket).collect();
        let told = Told::from(Value::from(items));
        if links && number < sizes.len() {
            told.with("link", "<https://elsewhere/x>; rel=\"next\"")
        } else {
            told
        }
    })
    .await
}

#[tokio::test]
async fn pages_are_read_to_the_end() {
    for (sizes, links, requests) in [
        (&[1000, 1000, 3][..], false, 3),
        (&[1000, 1000], false, 3),
        (&[], false, 1),
        // An upstream that caps its pages says that there are more.
        (&[250, 250, 3], true, 3),
    ] {
        let fake = paged(sizes, links).await;
        let rows = all(account(&fake).tickets("tenant_a", None)).await;
        assert_eq!(rows.len(), sizes.iter().sum::<usize>());
        assert!(rows.iter().map(|it| it.line).eq(1..=rows.len() as u64));
        let wanted: Vec<_> = (1..=requests)
            .map(|it| {
                format!("/v4_6_release/apis/3.0/service/tickets?orderBy=id+asc&pageSize=1000&page={it}")
            })
            .collect();
        assert_eq!(fake.targets(), wanted, "{sizes:?}");
    }
}

#[tokio::test]
async fn an_error_on_a_later_page_comes_after_the_rows_before() {
    let fake = Fake::start(|asked: &Asked| {
        if asked.target.ends_with("page=1") {
            Told::from(Value::from(vec![ticket_69(); 1000]))
        } else {
            Told::status(429).with("retry-after", "17")
        }
    })
    .await;
    let (rows, error) = until_error(account(&fake).tickets("tenant_a", None)).await;
    assert_eq!(rows, 1000);
    assert!(
        matches!(&error, SourceError::Throttled { retry_after, .. } if retry_after.as_secs() == 17),
        "{error}"
    );
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fake = Fake::start(|_| Told::status(401)).await;
    let account = account(&fake);
    let (_, error) = until_error(account.tickets("tenant_a", None)).await;
    assert!(
        matches!(&error, SourceError::Refused { reason, .. } if reason.contains("private_key")),
        "{error}"
    );
    for shown in [error.to_string(), format!("{error:?}"), format!("{account:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
    }
}
