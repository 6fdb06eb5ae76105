-- SPDX-License-Identifier: Apache-2.0
-- One payment per order, whatever became of it; rows are never deleted. status holds the numbers of
-- fashion.payment.v1.PaymentStatus: 2 PAID, 3 CANCELLED, 4 REJECTED. A row that was CANCELLED before
-- anything was taken has amount 0 and keeps a late Pay from taking money.
create table payments (
    payment_id uuid primary key,
    order_id   uuid not null unique,
    status     smallint not null check (status between 2 and 4),
    amount_krw bigint not null check (amount_krw > 0 or (status = 3 and amount_krw = 0)),
    version    bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
) with (fillfactor = 70);
