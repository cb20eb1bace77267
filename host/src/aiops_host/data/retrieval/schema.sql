-- Executed once by aiops_owner, after the tables of tenants.
-- A BM25 index in plain tables: under row-level security PostgreSQL uses an index only through leakproof operators,
-- which equality on uuid, integer and text is and full-text match is not.
-- tenant_id fills itself from the tenant session; the policies check it either way.

-- One row per index. Whoever writes to an index locks its row first: importers of one tenant take turns.
create table search_corpus (
    tenant_id   uuid not null default current_setting('app.current_tenant_id')::uuid references tenant on delete cascade,
    collection  text not null check (collection in ('tickets', 'articles')),
    documents   integer not null default 0,
    words       double precision not null default 0,
    concepts_at integer not null default 0,
    primary key (tenant_id, collection)
) with (fillfactor = 50);

create table search_lexeme (
    tenant_id  uuid not null default current_setting('app.current_tenant_id')::uuid,
    collection text not null,
    lexeme     text not null,
    lexeme_id  integer not null generated always as identity,
    documents  integer not null,
    primary key (tenant_id, collection, lexeme),
    unique (tenant_id, lexeme_id),
    foreign key (tenant_id, collection) references search_corpus on delete cascade
) with (fillfactor = 70);

-- What a document says, forwards: to score it whole once it is a candidate, and to find its postings again.
create table search_document (
    tenant_id   uuid not null default current_setting('app.current_tenant_id')::uuid,
    document_id integer not null generated always as identity,
    collection  text not null,
    words       real not null,
    lexeme_ids  integer[] not null,
    frequencies real[] not null,
    primary key (tenant_id, document_id),
    foreign key (tenant_id, collection) references search_corpus on delete cascade
);

-- The document's length stands in every posting, so that the mean length is applied when asked, not when written.
-- No foreign key to the document: deleting goes through its lexemes, and an index for the key would double the table.
create table search_posting (
    tenant_id   uuid not null default current_setting('app.current_tenant_id')::uuid,
    lexeme_id   integer not null,
    document_id integer not null,
    frequency   real not null,
    words       real not null,
    primary key (tenant_id, lexeme_id, document_id) include (frequency, words),
    foreign key (tenant_id, lexeme_id) references search_lexeme (tenant_id, lexeme_id) on delete cascade
);

-- What the commoner lexemes are about, as of the last time it was learnt.
create table search_concept (
    tenant_id uuid not null default current_setting('app.current_tenant_id')::uuid,
    lexeme_id integer not null,
    vector    real[] not null,
    primary key (tenant_id, lexeme_id),
    foreign key (tenant_id, lexeme_id) references search_lexeme (tenant_id, lexeme_id) on delete cascade
);

-- History outlives the connection it came through: no foreign key there.
create table past_ticket (
    tenant_id     uuid not null default current_setting('app.current_tenant_id')::uuid,
    document_id   integer not null,
    connection_id uuid,
    ticket_id     text not null,
    number        text,
    title         text not null,
    body          text not null,
    resolution    text,
    category      text,
    priority      text not null,
    priority_word text,
    url           text,
    requester     text,
    technician    text,
    created_at    timestamptz,
    resolved_at   timestamptz,
    source        text not null,
    digest        bytea not null,
    imported_at   timestamptz not null default now(),
    primary key (tenant_id, document_id),
    unique nulls not distinct (tenant_id, ticket_id, connection_id),
    foreign key (tenant_id, document_id) references search_document on delete cascade
);

create table article (
    tenant_id  uuid not null default current_setting('app.current_tenant_id')::uuid references tenant on delete cascade,
    slug       text not null,
    title      text not null,
    body       text not null,
    url        text,
    tags       text[] not null,
    updated_at timestamptz,
    digest     bytea not null,
    primary key (tenant_id, slug)
);

-- An article is indexed passage by passage: the best passage finds it and is what is quoted.
create table article_passage (
    tenant_id   uuid not null default current_setting('app.current_tenant_id')::uuid,
    document_id integer not null,
    slug        text not null,
    ordinal     integer not null,
    body        text not null,
    primary key (tenant_id, document_id),
    unique (tenant_id, slug, ordinal),
    foreign key (tenant_id, slug) references article on delete cascade,
    foreign key (tenant_id, document_id) references search_document on delete cascade
);

create table asset (
    tenant_id  uuid not null default current_setting('app.current_tenant_id')::uuid references tenant on delete cascade,
    asset_id   uuid not null default gen_random_uuid(),
    name       text not null,
    kind       text,
    owner      text,
    site       text,
    notes      text,
    hostnames  text[] not null,
    ips        inet[] not null,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, asset_id),
    unique (tenant_id, name)
);

-- Everything an asset is called, lower case: its name, its hostnames with and without domain, its addresses.
create table asset_key (
    tenant_id uuid not null default current_setting('app.current_tenant_id')::uuid,
    key       text not null,
    asset_id  uuid not null,
    primary key (tenant_id, key, asset_id),
    foreign key (tenant_id, asset_id) references asset on delete cascade
);
create index asset_key_of_asset on asset_key (tenant_id, asset_id);

do $$
declare
    t text;
begin
    foreach t in array array['search_corpus', 'search_lexeme', 'search_document', 'search_posting',
                             'search_concept', 'past_ticket', 'article', 'article_passage', 'asset', 'asset_key'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format(
            'create policy tenant_rows on %I to aiops_app, aiops_owner '
            'using (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid)) '
            'with check (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid))', t);
        execute format('grant select, insert, update, delete on %I to aiops_app', t);
    end loop;
end $$;
