-- The first schema, for SQLite. Its twin for PostgreSQL holds the same tables and columns; a test compares them.
-- Times are epoch milliseconds (UTC) and always arguments. States are the numbers of domain::send and domain::campaign.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A WhatsApp Business Account. Secrets are sealed by the engine before they reach us.
CREATE TABLE accounts (
    id             INTEGER PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    waba_id        TEXT    NOT NULL UNIQUE,
    portfolio      TEXT,
    access_token   BLOB    NOT NULL,
    app_secret     BLOB    NOT NULL,
    -- while it is being rotated: the secret before, which vouches for webhooks as well, and since when
    old_app_secret BLOB,
    secret_rotation_since BIGINT,
    verify_token   BLOB    NOT NULL,
    stopped_reason TEXT,
    stopped_at     BIGINT,
    synced_at      BIGINT,
    created_at     BIGINT  NOT NULL
);

-- A business number. set_rate NULL: the rate of its throughput level; 0: unlimited (loopback only).
CREATE TABLE numbers (
    id              INTEGER PRIMARY KEY,
    account_id      BIGINT  NOT NULL REFERENCES accounts (id),
    phone_number_id TEXT    NOT NULL UNIQUE,
    display         TEXT    NOT NULL DEFAULT '',
    verified_name   TEXT    NOT NULL DEFAULT '',
    quality         TEXT    NOT NULL DEFAULT 'UNKNOWN',
    throughput      TEXT    NOT NULL DEFAULT 'STANDARD',
    messaging_limit TEXT    NOT NULL DEFAULT '',
    status          TEXT    NOT NULL DEFAULT '',
    on_biz_app      BOOLEAN NOT NULL DEFAULT FALSE,
    -- people per moving 24 hours that its whole portfolio may write to; NULL: no limit known. Kept by the sync, so that
    -- a claim finds it in the row that it reads anyway
    people_limit    BIGINT,
    set_rate        BIGINT,
    -- whose messages it sends, where a person said so: a stop may be for one brand
    brand           TEXT,
    paused_reason   TEXT,
    paused_at       BIGINT,
    synced_at       BIGINT  NOT NULL
);
CREATE INDEX numbers_account ON numbers (account_id);

-- Who shares a messaging limit: the accounts of one business portfolio, or one account whose portfolio nobody named.
-- people NULL: no limit known. used: how many rows of reached are its own. counted: FALSE until whoever was written to
-- before the limit was known is in reached, too; nothing is claimed before.
CREATE TABLE portfolios (
    name    TEXT    PRIMARY KEY,
    people  BIGINT,
    used    BIGINT  NOT NULL DEFAULT 0,
    counted BOOLEAN NOT NULL DEFAULT FALSE
) WITHOUT ROWID;

-- Whom a portfolio with a limit wrote to in the last 24 hours, each person once, at the last time. campaign_id and
-- attempt name the claim that took the place, where the place is free again if that attempt did not reach the person.
CREATE TABLE reached (
    contact_id  BIGINT NOT NULL,
    portfolio   TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    campaign_id BIGINT,
    attempt     BIGINT,
    PRIMARY KEY (contact_id, portfolio)
) WITHOUT ROWID;
CREATE INDEX reached_age ON reached (portfolio, at);

CREATE TABLE templates (
    id               INTEGER PRIMARY KEY,
    account_id       BIGINT  NOT NULL REFERENCES accounts (id),
    meta_id          TEXT    NOT NULL DEFAULT '',
    name             TEXT    NOT NULL,
    language         TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    category         TEXT    NOT NULL,
    parameter_format TEXT    NOT NULL DEFAULT 'POSITIONAL',
    quality          TEXT    NOT NULL DEFAULT '',
    components       TEXT    NOT NULL,
    -- for how long Meta tries to deliver, s; NULL or below zero: as long as is usual
    ttl_seconds      BIGINT,
    synced_at        BIGINT  NOT NULL,
    UNIQUE (account_id, name, language)
);

CREATE TABLE contacts (
    -- never given out again, should an import be undone: ledger and sends know people by it
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- the number's canonical form, one for all national variants of a person; NULL for people known only by a user id
    phone_key  BIGINT UNIQUE,
    -- the number as dialled, digits without the plus sign
    phone      BIGINT,
    name       TEXT,
    language   TEXT,
    attributes TEXT   NOT NULL DEFAULT '{}',
    -- the import that made this row what it is; NULL: a person known by what they sent, or by hand
    import_id  BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Other names of a person: 1 wa_id, 2 business-scoped user id, 3 parent user id.
CREATE TABLE identities (
    kind       SMALLINT NOT NULL,
    value      TEXT     NOT NULL,
    contact_id BIGINT   NOT NULL REFERENCES contacts (id),
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;
CREATE INDEX identities_contact ON identities (contact_id);

CREATE TABLE lists (
    id         INTEGER PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Without a foreign key, which would be looked up for each of a million rows: whoever adds people holds the list.
CREATE TABLE list_members (
    list_id    BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    import_id  BIGINT,
    added_at   BIGINT NOT NULL,
    PRIMARY KEY (list_id, contact_id)
) WITHOUT ROWID;

CREATE TABLE imports (
    id            INTEGER PRIMARY KEY,
    list_id       BIGINT  NOT NULL,
    list_name     TEXT    NOT NULL,
    file_name     TEXT    NOT NULL DEFAULT '',
    sha256        TEXT    NOT NULL DEFAULT '',
    state         TEXT    NOT NULL,
    actor         TEXT    NOT NULL,
    opt_in_source TEXT    NOT NULL,
    opt_in_wording TEXT   NOT NULL DEFAULT '',
    -- NULL: each row's own
    opt_in_at     BIGINT,
    region        TEXT,
    line_count    BIGINT  NOT NULL DEFAULT 0,
    accepted      BIGINT  NOT NULL DEFAULT 0,
    created       BIGINT  NOT NULL DEFAULT 0,
    updated       BIGINT  NOT NULL DEFAULT 0,
    duplicates    BIGINT  NOT NULL DEFAULT 0,
    rejected      BIGINT  NOT NULL DEFAULT 0,
    suppressed    BIGINT  NOT NULL DEFAULT 0,
    -- accepted people of whom nothing was written: all of it was there already
    unchanged     BIGINT  NOT NULL DEFAULT 0,
    rejects_file  TEXT,
    -- how the file was read: encoding, delimiter, header, mapping; JSON
    reading       TEXT,
    error         TEXT,
    started_at    BIGINT  NOT NULL,
    finished_at   BIGINT,
    -- who runs it and shows so by the beat; an import whose beat stands still was interrupted
    owner         TEXT    NOT NULL DEFAULT '',
    host          TEXT    NOT NULL DEFAULT '',
    boot          TEXT    NOT NULL DEFAULT '',
    beat          BIGINT  NOT NULL DEFAULT 0,
    -- the last chunk that is kept
    chunks        BIGINT  NOT NULL DEFAULT 0,
    -- whoever it made has a greater id
    contacts_before BIGINT NOT NULL DEFAULT 0,
    -- while it is being undone: the state that it was in, and will be again should that be refused
    undone_from   TEXT
);

CREATE INDEX imports_unfinished ON imports (id) WHERE state IN ('running', 'undoing');
CREATE INDEX imports_file ON imports (sha256) WHERE sha256 <> '';

-- What an import changed of people who were known before: what they were, so that it can be undone.
CREATE TABLE import_changes (
    import_id     BIGINT NOT NULL,
    contact_id    BIGINT NOT NULL,
    phone         BIGINT,
    name          TEXT,
    language      TEXT,
    attributes    TEXT   NOT NULL,
    before_import BIGINT,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (import_id, contact_id)
) WITHOUT ROWID;
CREATE INDEX import_changes_before ON import_changes (before_import, contact_id) WHERE before_import IS NOT NULL;

-- Whom an import met and wrote nothing of, since all of it was there: their ids, packed (`met`). What an undone import
-- brought is theirs through this one, too.
CREATE TABLE import_met (
    import_id BIGINT NOT NULL,
    chunk     BIGINT NOT NULL,
    people    BLOB   NOT NULL,
    PRIMARY KEY (import_id, chunk)
);

-- Where consent came from and in which words it was asked for: few texts, millions of consents.
CREATE TABLE consent_texts (
    id      INTEGER PRIMARY KEY,
    source  TEXT NOT NULL,
    wording TEXT NOT NULL DEFAULT '',
    UNIQUE (source, wording)
);

-- What the columns of files were said to be, by a hash of their headers.
CREATE TABLE header_sets (
    fingerprint TEXT   NOT NULL PRIMARY KEY,
    mapping     TEXT   NOT NULL,
    used_at     BIGINT NOT NULL
);

-- Who consented, when, by which source; one row per piece of evidence. The ledger entry of its import and chunk holds
-- the root of a tree whose leaf is made of salt, phone key, time, source and wording; leaf is filled when those are
-- erased.
CREATE TABLE opt_ins (
    contact_id BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    text_id    BIGINT NOT NULL,
    import_id  BIGINT,
    chunk      BIGINT,
    salt       BLOB,
    leaf       BLOB,
    PRIMARY KEY (contact_id, at, text_id)
) WITHOUT ROWID;

-- The standing blocks: one row for each person and scope (all, marketing, brand:NAME, number:PHONE_NUMBER_ID); the
-- event behind it is the ledger entry evidence_id.
CREATE TABLE suppressions (
    contact_id  BIGINT NOT NULL,
    scope       TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    source      TEXT   NOT NULL,
    campaign_id BIGINT,
    evidence_id BIGINT,
    PRIMARY KEY (contact_id, scope)
) WITHOUT ROWID;

-- How far stops reach, by the way they come, where somebody set it.
CREATE TABLE stop_reaches (
    way   TEXT PRIMARY KEY,
    reach TEXT   NOT NULL,
    actor TEXT   NOT NULL,
    at    BIGINT NOT NULL
) WITHOUT ROWID;

-- Append-only record. Entries come unsealed (sealed_seq NULL) and are chained by one sealer.
CREATE TABLE ledger (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    contact_id  BIGINT,
    campaign_id BIGINT,
    import_id   BIGINT,
    -- personal data beside the chain, JSON; the chain holds only its salted commitment
    detail      TEXT   NOT NULL,
    salt        BLOB   NOT NULL,
    commitment  BLOB   NOT NULL,
    sealed_seq  BIGINT UNIQUE,
    hash        BLOB
);
CREATE INDEX ledger_unsealed ON ledger (id) WHERE sealed_seq IS NULL;
CREATE INDEX ledger_contact ON ledger (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX ledger_import ON ledger (import_id) WHERE import_id IS NOT NULL;

CREATE TABLE campaigns (
    id               INTEGER PRIMARY KEY,
    name             TEXT     NOT NULL UNIQUE,
    state            SMALLINT NOT NULL,
    reason           TEXT,
    account_id       BIGINT   NOT NULL REFERENCES accounts (id),
    -- NULL: free text, within the service window
    template_id      BIGINT   REFERENCES templates (id),
    -- the template as it was when last checked at launch, JSON
    template         TEXT     NOT NULL,
    params           TEXT     NOT NULL,
    rate_cap         BIGINT,
    -- its share of a number that several campaigns send from
    weight           BIGINT   NOT NULL DEFAULT 10,
    start_at         BIGINT,
    created_by       TEXT     NOT NULL,
    created_at       BIGINT   NOT NULL,
    launched_at      BIGINT,
    started_at       BIGINT,
    finished_at      BIGINT,
    -- the audience is frozen at frozen_at: members of its lists added by then
    frozen_at        BIGINT,
    audience         BIGINT   NOT NULL DEFAULT 0,
    planned_through  BIGINT   NOT NULL DEFAULT 0,
    planned          BOOLEAN  NOT NULL DEFAULT FALSE,
    -- once cancelled: up to here no fresh send is left
    skipped_through  BIGINT   NOT NULL DEFAULT 0,
    -- what its last preflight found and what that rested on, JSON: see engine's campaigns::weighing
    checked          TEXT,
    -- its messages leave evenly over so long, ms; so many people the launch found for that
    spread           BIGINT,
    spread_people    BIGINT,
    -- the gaps between its turns are drawn at random, with their mean and its cap kept
    human_gaps       BOOLEAN  NOT NULL DEFAULT FALSE,
    -- '21:00-09:00': nobody is written to then, by their own clock; timezone is that of people whose own is not known
    quiet_hours      TEXT,
    timezone         TEXT,
    -- its own blackout days beside those of the house, a JSON array: ["2026-12-25", "EG:2026-05-27..2026-05-29=Eid"]
    blackouts        TEXT,
    -- nothing is sent from then on: the offer has ended
    stop_at          BIGINT,
    -- started by itself no later than so long after start_at, ms
    latest_start     BIGINT,
    -- a crontab line, by the clock of timezone: at each of its times a child campaign is made, and start_at moves on
    cron             TEXT,
    -- a child whose audience differs from the last one's (last_eligible of its parent) by more than so many per cent of
    -- it waits for a person
    size_guard       BIGINT,
    -- who of its lists is meant, as domain::filter writes it; NULL: everyone
    filter           TEXT,
    last_eligible    BIGINT,
    -- '2/7d': at most so many marketing messages to one person in so many days, over all campaigns, beside the house's
    frequency_cap    TEXT,
    marketing        BOOLEAN  NOT NULL DEFAULT TRUE,
    -- 0: what people make, list and launch; 1: a single message that a program asked for; 2: a message on trial;
    -- 3: an answer in free text, whose only person is planned_through
    kind             SMALLINT NOT NULL DEFAULT 0,
    -- when to look again for messages whose template's time to live has run out, undelivered
    expiry_due       BIGINT   NOT NULL DEFAULT 0,
    -- who goes first, and what that must not come to: domain::canary, JSON. canary_state 0: everybody else is held back,
    -- and nobody is fed beyond canary_through (NULL: nobody at all); 1 it passed, 2 it failed
    canary           TEXT,
    canary_state     SMALLINT,
    canary_through   BIGINT,
    -- whose failed ones it tries again; or whose occurrence, at that time, it is
    parent_id        BIGINT,
    occurrence       BIGINT,
    UNIQUE (parent_id, occurrence)
);
-- single messages, of which there may be many more than campaigns, and the other way round
CREATE INDEX campaigns_messages ON campaigns (id) WHERE kind = 1;
-- the last one first, for filters
CREATE INDEX campaigns_started ON campaigns (started_at, id) WHERE started_at IS NOT NULL;
-- which of them sent something lately, for frequency caps
CREATE INDEX campaigns_finished ON campaigns (finished_at) WHERE finished_at IS NOT NULL;
-- the same without single messages: what somebody may be answering
CREATE INDEX campaigns_finished_own ON campaigns (finished_at) WHERE finished_at IS NOT NULL AND kind = 0;
CREATE INDEX campaigns_expiry ON campaigns (expiry_due) WHERE started_at IS NOT NULL;
CREATE INDEX campaigns_alive ON campaigns (state) WHERE state IN (1, 2, 3);
-- cancelled in the middle of being planned: the rest of the audience is still to be written down as skipped
CREATE INDEX campaigns_unplanned ON campaigns (id) WHERE state = 4 AND NOT planned AND frozen_at IS NOT NULL;

-- Who approved a campaign, and a hash of what it was then: with its audience, and without.
CREATE TABLE approvals (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    actor       TEXT   NOT NULL,
    seal        TEXT   NOT NULL,
    terms_seal  TEXT   NOT NULL,
    people      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, actor)
) WITHOUT ROWID;

CREATE TABLE campaign_lists (
    campaign_id BIGINT  NOT NULL REFERENCES campaigns (id),
    list_id     BIGINT  NOT NULL,
    included    BOOLEAN NOT NULL,
    PRIMARY KEY (campaign_id, list_id)
) WITHOUT ROWID;

CREATE TABLE campaign_numbers (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id),
    number_id   BIGINT NOT NULL REFERENCES numbers (id),
    position    BIGINT NOT NULL,
    fed_through BIGINT NOT NULL DEFAULT 0,
    -- of a campaign that is spread: its next message from this number leaves no sooner
    next_at     BIGINT,
    PRIMARY KEY (campaign_id, number_id)
) WITHOUT ROWID;
CREATE INDEX campaign_numbers_number ON campaign_numbers (number_id);

-- The intent for one contact in one campaign, and where it stands. No index holds what every message changes as it is
-- claimed or followed by its statuses: that would cost two more pages each time.
CREATE TABLE sends (
    campaign_id  BIGINT   NOT NULL,
    contact_id   BIGINT   NOT NULL,
    number_id    BIGINT   NOT NULL,
    state        SMALLINT NOT NULL,
    attempt      BIGINT   NOT NULL DEFAULT 0,
    -- how many attempts were refused or failed for later: bounds the tries
    tries        BIGINT   NOT NULL DEFAULT 0,
    -- a re-planned send has not_before set, a fresh one has not; so has one whose person sleeps (reason says where)
    not_before   BIGINT,
    claimed_at   BIGINT,
    term         BIGINT,
    code         BIGINT,
    reason       TEXT,
    held         BOOLEAN  NOT NULL DEFAULT FALSE,
    expired      BOOLEAN  NOT NULL DEFAULT FALSE,
    wamid        TEXT,
    accepted_at  BIGINT,
    sent_at      BIGINT,
    delivered_at BIGINT,
    read_at      BIGINT,
    failed_at    BIGINT,
    -- what Meta said of its price, as a number of domain::pricing
    billed       SMALLINT,
    -- while it is in doubt: when the attempt was claimed
    doubt_since  BIGINT   GENERATED ALWAYS AS (CASE WHEN state = 2 THEN claimed_at END) VIRTUAL,
    PRIMARY KEY (campaign_id, contact_id)
) WITHOUT ROWID;
CREATE INDEX sends_doubt ON sends (number_id, doubt_since) WHERE doubt_since IS NOT NULL;
-- only what is planned has not_before set
CREATE INDEX sends_later ON sends (campaign_id, number_id, not_before) WHERE not_before IS NOT NULL;

-- Where sends may be submitting: the contacts (a JSON array) that one claim took of a campaign, on one number.
-- Written with the claim, never changed, and removed by the number's lane once none of them is submitting any more. A
-- row for some hundred sends takes the place of an entry for each in an index of sends.
CREATE TABLE claims (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    number_id   BIGINT NOT NULL,
    campaign_id BIGINT NOT NULL,
    contact_ids TEXT   NOT NULL
);
CREATE INDEX claims_number ON claims (number_id);

-- What is submitting now.
CREATE VIEW submitting AS
SELECT DISTINCT c.number_id, s.campaign_id, s.contact_id, s.attempt, s.term, s.claimed_at
FROM claims c CROSS JOIN json_each(c.contact_ids) k
CROSS JOIN sends s ON s.campaign_id = c.campaign_id AND s.contact_id = k.value
WHERE s.state = 1;

-- Which send a message id is of, by a hash of it: every send with a wamid is here, or in a note of `claims`, from where
-- many come together and in the order of their hashes. One by one each would write a page of its own.
CREATE TABLE wamids (
    hash        BIGINT NOT NULL,
    campaign_id BIGINT NOT NULL,
    contact_id  BIGINT NOT NULL,
    PRIMARY KEY (hash, campaign_id, contact_id)
) WITHOUT ROWID;

-- Attempts that a newer one replaced: the exception, so the common path writes none.
CREATE TABLE past_attempts (
    campaign_id BIGINT NOT NULL,
    contact_id  BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    code        BIGINT,
    reason      TEXT,
    wamid       TEXT,
    wamid_hash  BIGINT,
    at          BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, contact_id, attempt)
) WITHOUT ROWID;
CREATE INDEX past_attempts_wamid ON past_attempts (wamid_hash) WHERE wamid_hash IS NOT NULL;

-- How many sends of a campaign and number are in each state, by reason or code: kept in the transaction that moves
-- the sends, so that a look costs nothing.
CREATE TABLE tallies (
    campaign_id BIGINT   NOT NULL,
    number_id   BIGINT   NOT NULL,
    state       SMALLINT NOT NULL,
    detail      TEXT     NOT NULL DEFAULT '',
    n           BIGINT   NOT NULL,
    PRIMARY KEY (campaign_id, number_id, state, detail)
) WITHOUT ROWID;
CREATE INDEX tallies_open ON tallies (campaign_id) WHERE state IN (0, 1, 2);

-- Open batches only: a finished batch is deleted. lo and hi are contact ids, both included; kind 0 takes the fresh
-- sends of its range, kind 1 whatever of the campaign and number is due again.
CREATE TABLE batches (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign_id BIGINT   NOT NULL,
    number_id   BIGINT   NOT NULL,
    kind        SMALLINT NOT NULL,
    lo          BIGINT   NOT NULL,
    hi          BIGINT   NOT NULL,
    created_at  BIGINT   NOT NULL,
    pushed_at   BIGINT
);
CREATE INDEX batches_lane ON batches (number_id, campaign_id, kind);

-- One owner at a time for each lane ('lane:<number id>') and for the scheduler. token is the fence.
CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    owner   TEXT   NOT NULL,
    token   BIGINT NOT NULL,
    beat    BIGINT NOT NULL,
    host    TEXT   NOT NULL,
    boot    TEXT   NOT NULL,
    -- what the owner says of itself, JSON: pace, in flight, why idle
    note    TEXT   NOT NULL DEFAULT '{}',
    beat_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Who held a lane in which term, so that a later owner can find the journal of the one that crashed.
CREATE TABLE lane_terms (
    number_id BIGINT NOT NULL,
    term      BIGINT NOT NULL,
    owner     TEXT   NOT NULL,
    host      TEXT   NOT NULL,
    boot      TEXT   NOT NULL,
    began_at  BIGINT NOT NULL,
    PRIMARY KEY (number_id, term)
) WITHOUT ROWID;

-- Webhook bodies, durable before they are acknowledged. body NULL: applied, the hash stays to know a repetition.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id  BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    body_hash   BLOB   NOT NULL UNIQUE,
    signature   TEXT   NOT NULL,
    body        BLOB,
    applied_at  BIGINT,
    error       TEXT
);
CREATE INDEX inbox_open ON inbox (id) WHERE applied_at IS NULL;
CREATE INDEX inbox_age ON inbox (received_at);
CREATE INDEX inbox_unread ON inbox (id) WHERE error IS NOT NULL;

-- Messages that people sent to us, each once.
CREATE TABLE inbound (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    wamid       TEXT    NOT NULL UNIQUE,
    account_id  BIGINT  NOT NULL,
    number_id   BIGINT,
    contact_id  BIGINT,
    -- the names of a sender who is no person of ours; none beside contact_id
    phone_key   BIGINT,
    phone       BIGINT,
    user_id     TEXT,
    campaign_id BIGINT,
    -- nothing in it names campaign_id: it came after that campaign's message
    inferred    BOOLEAN NOT NULL DEFAULT FALSE,
    kind        TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    -- it opens the service window: the person wrote, or tapped
    opens       BOOLEAN NOT NULL DEFAULT TRUE,
    at          BIGINT  NOT NULL,
    received_at BIGINT  NOT NULL
);
CREATE INDEX inbound_number ON inbound (number_id, received_at);
CREATE INDEX inbound_contact ON inbound (contact_id, received_at) WHERE contact_id IS NOT NULL;
-- until when somebody may be answered
CREATE INDEX inbound_window ON inbound (contact_id, number_id, at) WHERE contact_id IS NOT NULL AND opens;
-- what is read, newest first
CREATE INDEX inbound_of_contact ON inbound (contact_id, id) WHERE contact_id IS NOT NULL;
CREATE INDEX inbound_of_campaign ON inbound (campaign_id, id) WHERE campaign_id IS NOT NULL;
CREATE INDEX inbound_of_number ON inbound (number_id, id);
-- whoever is no person of ours yet
CREATE INDEX inbound_strange_phone ON inbound (phone_key) WHERE contact_id IS NULL AND phone_key IS NOT NULL;
CREATE INDEX inbound_strange_user ON inbound (user_id) WHERE contact_id IS NULL AND user_id IS NOT NULL;
-- what people answered to a campaign, in the order of its sends
CREATE INDEX inbound_campaign ON inbound (campaign_id, contact_id, wamid) WHERE campaign_id IS NOT NULL;

-- Statuses whose message we do not know yet (the webhook beat our own record, or it is not ours).
CREATE TABLE parked_statuses (
    wamid        TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    account_id   BIGINT NOT NULL,
    phone_number_id TEXT,
    recipient    TEXT,
    event        TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    parked_at    BIGINT NOT NULL,
    PRIMARY KEY (wamid, status)
) WITHOUT ROWID;
CREATE INDEX parked_age ON parked_statuses (parked_at);

CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY,
    name         TEXT   NOT NULL UNIQUE,
    role         TEXT   NOT NULL,
    hash         BLOB   NOT NULL UNIQUE,
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at   BIGINT
);

-- People who sign in. Without a password they were invited and have not followed their link yet.
CREATE TABLE users (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- lower case
    email        TEXT   NOT NULL UNIQUE,
    name         TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    -- argon2id, in the PHC form
    password     TEXT,
    -- sealed
    totp         BLOB,
    -- the last time step whose code was taken: no code opens twice
    totp_step    BIGINT NOT NULL DEFAULT 0,
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    signed_in_at BIGINT
);

-- Codes for whoever lost their authenticator, by their SHA-256. One is removed as it is used.
CREATE TABLE recovery_codes (
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash    BLOB NOT NULL,
    PRIMARY KEY (user_id, hash)
) WITHOUT ROWID;

-- By the SHA-256 of the token in the browser's cookie.
CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    address    TEXT   NOT NULL,
    agent      TEXT   NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);

-- Links that open once, by the SHA-256 of their token: the very first user's (without a user yet), or a user's own.
CREATE TABLE links (
    hash       BLOB PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    user_id    BIGINT REFERENCES users (id) ON DELETE CASCADE,
    -- the second factor that whoever follows it will have, sealed
    totp       BLOB NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX links_user ON links (user_id);

-- Sign-ins that failed lately, by the hash of the name that was given and the address they came from ('' stands for
-- all addresses together). None is tried before free_at.
CREATE TABLE failed_sign_ins (
    who      BLOB NOT NULL,
    address  TEXT   NOT NULL,
    failures BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    free_at  BIGINT NOT NULL,
    PRIMARY KEY (who, address)
) WITHOUT ROWID;
CREATE INDEX failed_sign_ins_age ON failed_sign_ins (last_at);

-- Who did what through the API, and every sign-in. Rows are added only.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    target     TEXT   NOT NULL,
    status     BIGINT NOT NULL,
    address    TEXT   NOT NULL,
    request_id TEXT   NOT NULL
);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_action ON audit (action, id);

CREATE TABLE idempotency (
    principal    TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    route        TEXT   NOT NULL,
    request_hash BLOB   NOT NULL,
    status       BIGINT,
    answer       BLOB,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- What an operator says that a phrase means, by the phrase's key: it comes before the built-in tables.
CREATE TABLE words (
    key     TEXT PRIMARY KEY,
    phrase  TEXT   NOT NULL,
    verdict TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    at      BIGINT NOT NULL
) WITHOUT ROWID;

-- What people said that may mean stop (or messages again, where only a person may lift the block): decided by hand.
CREATE TABLE reviews (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    wamid          TEXT   NOT NULL UNIQUE,
    asks           TEXT   NOT NULL,
    said           TEXT   NOT NULL,
    -- the stop that a confirmation makes, JSON: whom it means and the slice of the signed body that says it
    stop           TEXT   NOT NULL,
    account_id     BIGINT NOT NULL,
    contact_id     BIGINT,
    campaign_id    BIGINT,
    at             BIGINT NOT NULL,
    decided        TEXT,
    decided_by     TEXT,
    decided_reason TEXT,
    decided_at     BIGINT
);
CREATE INDEX reviews_open ON reviews (id) WHERE decided IS NULL;

-- When a person last asked for messages again, by the scope of the blocks that this lifts: a stop of that scope that
-- they said before, and that comes late or once more, does not hold.
CREATE TABLE lifted (
    contact_id BIGINT NOT NULL,
    scope      TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (contact_id, scope)
) WITHOUT ROWID;

-- The head of the ledger's chain as it was signed, once a day.
CREATE TABLE ledger_heads (
    seq        BIGINT PRIMARY KEY,
    hash       BLOB NOT NULL,
    at         BIGINT NOT NULL,
    public_key BLOB NOT NULL,
    signature  BLOB NOT NULL
) WITHOUT ROWID;

-- Of an entry only two things ever change: it is sealed, once, and its detail is erased together with its salt.
CREATE TRIGGER ledger_keeps_entries BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_keeps_facts BEFORE UPDATE ON ledger
WHEN NEW.id IS NOT OLD.id OR NEW.at IS NOT OLD.at OR NEW.kind IS NOT OLD.kind OR NEW.actor IS NOT OLD.actor
  OR NEW.contact_id IS NOT OLD.contact_id OR NEW.campaign_id IS NOT OLD.campaign_id
  OR NEW.import_id IS NOT OLD.import_id OR NEW.commitment IS NOT OLD.commitment
  OR (OLD.sealed_seq IS NOT NULL AND (NEW.sealed_seq IS NOT OLD.sealed_seq OR NEW.hash IS NOT OLD.hash))
  OR ((NEW.detail IS NOT OLD.detail OR NEW.salt IS NOT OLD.salt) AND (NEW.detail <> '' OR length(NEW.salt) <> 0))
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_facts BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Who looked at a person, or took data out: never changed, never removed. No name and no number of anybody.
CREATE TABLE disclosures (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    what       TEXT   NOT NULL,
    contact_id BIGINT,
    detail     TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX disclosures_contact ON disclosures (contact_id) WHERE contact_id IS NOT NULL;
CREATE TRIGGER disclosures_stay BEFORE DELETE ON disclosures
BEGIN SELECT RAISE(ABORT, 'disclosures are append-only'); END;
CREATE TRIGGER disclosures_stay_as_they_are BEFORE UPDATE ON disclosures
BEGIN SELECT RAISE(ABORT, 'disclosures are append-only'); END;

-- People whose data was erased on request. Their row in contacts stays, without anything of theirs: its phone_key, and
-- the values of its identities, are keyed hashes by which the person is known should they turn up again. swept_at: when
-- we last looked whether something of theirs came in late.
CREATE TABLE erasures (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    contact_id BIGINT NOT NULL UNIQUE,
    at         BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    swept_at   BIGINT NOT NULL
);

-- What messages cost, by the day from which on; none is ever changed. rates: JSON, as the engine wrote it.
CREATE TABLE rate_cards (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    valid_from TEXT   NOT NULL,
    currency   TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    rates      TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    at         BIGINT NOT NULL
);

-- What a campaign's sends came to when they were last gone through: sums, JSON. stamp: what stood in the tallies then.
CREATE TABLE campaign_sums (
    campaign_id BIGINT PRIMARY KEY,
    as_of       BIGINT NOT NULL,
    took        BIGINT NOT NULL,
    stamp       TEXT   NOT NULL,
    sums        TEXT   NOT NULL
) WITHOUT ROWID;

-- Blocks that somebody of ours asks to be lifted: a second person decides.
CREATE TABLE lift_requests (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    contact_id   BIGINT NOT NULL,
    requested_by TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    decided      TEXT,
    decided_by   TEXT,
    decided_at   BIGINT
);
CREATE UNIQUE INDEX lift_requests_open ON lift_requests (contact_id) WHERE decided IS NULL;
