-- How shop.db was made: sqlite3 shop.db < shop.sql
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    number VARCHAR(20) NOT NULL UNIQUE,
    customer_email VARCHAR(200),
    status VARCHAR(20) NOT NULL,
    paid_on DATE,
    total NUMERIC(12, 2),
    line_count INTEGER
);
INSERT INTO orders (number, customer_email, status, paid_on, total, line_count) VALUES
    ('A-1001', 'ada@example.com', 'shipped', '2026-10-01', 129.90, 3),
    ('A-1002', 'zoe@example.com', 'open', NULL, 15.00, 1),
    ('A-1003', 'wei@example.cn', 'cancelled', '2026-10-03', 75.50, 2),
    ('A-1004', 'bjork@example.is', 'gift', '2026-10-04', 0.00, 1),
    ('A-1005', 'test@example.com', 'test', '2026-10-05', 1.00, 1),
    ('A-1006', 'jose@example.org', 'open', '2026-10-06', 0.00, 1);
