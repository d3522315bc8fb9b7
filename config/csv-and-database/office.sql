-- How office.db was made: sqlite3 office.db < office.sql
CREATE TABLE companies (
    id INTEGER PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    city VARCHAR(100),
    employees INTEGER
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
