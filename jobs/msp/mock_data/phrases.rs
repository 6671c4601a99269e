//! The words the generated rows are made of.

/// A kind of trouble a service desk sees.
pub(super) struct Issue {
    pub(super) board: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) notes: &'static str,
}

const fn issue(
    board: &'static str,
    summary: &'static str,
    description: &'static str,
    notes: &'static str,
) -> Issue {
    Issue { board, summary, description, notes }
}

pub(super) const ISSUES: [Issue; 16] = [
    issue(
        "Service",
        "Cannot access email",
        "User reports Outlook not loading since this morning, webmail works.",
        "Rebuilt the Outlook profile and checked that mail flows",
    ),
    issue(
        "Service",
        "Password reset for new starter",
        "New employee cannot sign in for the first time.",
        "Reset the password and enrolled the user in MFA",
    ),
    issue(
        "Service",
        "Printer on 2nd floor offline",
        "Print jobs stay in the queue for everyone on the floor.",
        "Restarted the spooler and gave the printer a fixed address",
    ),
    issue(
        "Service",
        "VPN drops every few minutes",
        "Home worker loses the VPN tunnel about every ten minutes.",
        "Updated the VPN client and turned off Wi-Fi power saving",
    ),
    issue(
        "Service",
        "Laptop very slow after update",
        "Start-up takes fifteen minutes since last night's Windows update.",
        "Removed a stuck update and freed 40 GB on the disk",
    ),
    issue(
        "Service",
        "Shared drive not mapped",
        "The S: drive is missing for two users in Accounting.",
        "Corrected the group membership and ran gpupdate",
    ),
    issue(
        "Service",
        "Phishing email reported",
        "User clicked a link in an email that claimed to be from the bank.",
        "Blocked the sender, signed out all sessions, reset the password",
    ),
    issue(
        "Service",
        "Teams calls have no sound",
        "Headset works elsewhere but not in Teams calls.",
        "Selected the right device and updated the headset firmware",
    ),
    issue(
        "Service",
        "Backup job failed overnight",
        "The nightly backup of the file server ended with a disk space error.",
        "Extended the backup volume and ran the job again without errors",
    ),
    issue(
        "Service",
        "Server low on disk space",
        "Monitoring shows 4% free on drive D: of the application server.",
        "Moved old logs to the archive and set a retention of 30 days",
    ),
    issue(
        "Service",
        "Internet down at branch office",
        "No connection at the branch office; phones are down too.",
        "Failed over to LTE and opened a case with the provider",
    ),
    issue(
        "Project",
        "Migrate file server to SharePoint",
        "Move 800 GB of department shares to SharePoint with their permissions.",
        "Ran the first pass of the migration and checked permissions",
    ),
    issue(
        "Project",
        "Replace firewall at head office",
        "Firewall reaches the end of its support; replace it and carry the rules over.",
        "Exported the rules and prepared the new firewall in the lab",
    ),
    issue(
        "Project",
        "Roll out Windows 11 to Finance",
        "Upgrade 24 workstations outside business hours.",
        "Upgraded four workstations and tested the accounting software",
    ),
    issue(
        "Sales",
        "Quote for ten laptops",
        "Customer asks for a quote for ten business laptops with docking stations.",
        "Collected prices from two distributors and sent the quote",
    ),
    issue(
        "Sales",
        "Renewal of Microsoft 365 licences",
        "48 Business Premium licences end next month.",
        "Checked the licence count with the customer and sent the renewal",
    ),
];

pub(super) const COMPANIES: [&str; 10] = [
    "Acme Corp",
    "Northwind Traders",
    "Harbor Dental Group",
    "Blue Ridge Logistics",
    "Maple Street Law",
    "Summit Accounting",
    "Lakeside Clinic",
    "Fairview Schools",
    "Granite Construction",
    "Orchard Foods",
];

pub(super) const TIME_ZONES: [&str; 4] = ["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo"];

pub(super) const WORK_TYPES: [&str; 4] =
    ["Remote Support", "On-site Support", "Phone Support", "Project Work"];

/// Sentiment and comment for each score from 1 to 5.
pub(super) const COMMENTS: [(&str, &str); 5] = [
    ("negative", "Still not fixed, had to call three times."),
    ("negative", "Took far too long and nobody called back."),
    ("neutral", "Works again, but it took a while."),
    ("positive", "Good service, thank you."),
    ("positive", "Quick resolution, very happy!"),
];

pub(super) const ALERTS: [&str; 8] = [
    "Suspicious PowerShell execution",
    "Potentially unwanted application detected",
    "Credential dumping attempt blocked",
    "Ransomware behaviour detected and stopped",
    "Unusual sign-in from a new country",
    "Malicious macro in a document",
    "Agent has not reported for 7 days",
    "Connection to a known command server",
];
