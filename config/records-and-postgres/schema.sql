-- The tables of the example, with what a two-way sync likes best: a key, a time of change, and a version.
CREATE TABLE companies (
    id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    city VARCHAR(100),
    version INTEGER NOT NULL DEFAULT 1,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE people (
    id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email VARCHAR(200) UNIQUE,
    first_name VARCHAR(100),
    last_name VARCHAR(100),
    phone VARCHAR(40),
    company_id INTEGER REFERENCES companies (id),
    origin VARCHAR(20),
    version INTEGER NOT NULL DEFAULT 1,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE deals (
    id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    stage VARCHAR(40),
    worth NUMERIC(12, 2),
    closes_on DATE,
    company_id INTEGER REFERENCES companies (id),
    version INTEGER NOT NULL DEFAULT 1,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
-- Whoever changes a row, this keeps its time and version.
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    IF NEW.version = OLD.version THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER companies_touched BEFORE UPDATE ON companies FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER people_touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER deals_touched BEFORE UPDATE ON deals FOR EACH ROW EXECUTE FUNCTION touched();

INSERT INTO companies (name, city) VALUES ('Acme Widgets', 'Springfield'), ('Łódź Textiles', 'Łódź');
INSERT INTO people (email, first_name, company_id) VALUES ('zoe@example.com', 'Zoë', 1), ('olga@example.pl', 'Olga', 2);
