-- SPDX-License-Identifier: Apache-2.0
-- Orders: the row is the log of the saga. status holds the numbers of fashion.order.v1.OrderStatus.
create table orders (
    order_id      uuid primary key,
    request_id    uuid not null unique,
    digest        bytea not null,
    customer_id   text not null,
    product_code  text not null,
    size          text not null,
    quantity      bigint not null check (quantity > 0),
    status        smallint not null check (status between 1 and 6),
    total_krw     bigint not null default 0 check (total_krw >= 0),
    payment_asked boolean not null default false,
    payment_id    uuid,
    reject_reason text not null default '',
    pay_before    timestamptz,
    next_try_at   timestamptz,
    tries         integer not null default 0,
    version       bigint not null default 1,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    -- No order is PLACED (3) or SHIPPED (4) without a payment.
    check (status not in (3, 4) or payment_id is not null)
) with (fillfactor = 70);

-- What the sweep looks for: RECEIVED (1) and PAYMENT_PENDING (2).
create index orders_due on orders (next_try_at) where status in (1, 2);
create index orders_of_customer on orders (customer_id, order_id);
