-- How office.db was made: sqlite3 office.db < office.sql
CREATE TABLE companies (
    id INTEGER PRIMARY KEY,
    name VARCHAR(200) NOT NULL
);
CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    email VARCHAR(200),
    given_name VARCHAR(100),
    family_name VARCHAR(100),
    phone VARCHAR(40),
    born DATE,
    labels TEXT,
    company_id INTEGER REFERENCES companies (id)
);
CREATE TABLE deals (
    id INTEGER PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    stage VARCHAR(40),
    contract VARCHAR(40),
    worth NUMERIC(12, 2),
    company_id INTEGER REFERENCES companies (id),
    person_ids TEXT
);
