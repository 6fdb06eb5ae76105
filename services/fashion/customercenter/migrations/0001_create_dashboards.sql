-- SPDX-License-Identifier: Apache-2.0
-- The customer's view. Each source of events has a table of its own, so that the consumers of three
-- sources never wait for each other's rows; a dashboard row is the join of them. version is that of the
-- newest event applied; what an older one says is known already. changed_xid is the transaction of the
-- last change: watchers find by it what their last snapshot did not see. status holds the numbers of
-- the enums in the contracts of order, payment and delivery.
create table dashboard_orders (
    order_id      uuid primary key,
    customer_id   text, -- this and the next four are null until OrderPlaced or OrderPaymentPending came
    product_code  text,
    size          text,
    quantity      bigint,
    total_krw     bigint,
    status        smallint not null,
    reject_reason text not null default '',
    version       bigint not null,
    updated_at    timestamptz not null,
    changed_xid   xid8 not null default pg_current_xact_id()
);
create index dashboard_orders_of_customer on dashboard_orders (customer_id, order_id);
create index dashboard_orders_changed on dashboard_orders (changed_xid, order_id);

create table dashboard_payments (
    order_id    uuid primary key,
    payment_id  uuid not null,
    status      smallint not null,
    version     bigint not null,
    updated_at  timestamptz not null,
    changed_xid xid8 not null default pg_current_xact_id()
);
create index dashboard_payments_changed on dashboard_payments (changed_xid, order_id);

create table dashboard_deliveries (
    order_id    uuid primary key,
    delivery_id uuid not null,
    status      smallint not null,
    version     bigint not null,
    updated_at  timestamptz not null,
    changed_xid xid8 not null default pg_current_xact_id()
);
create index dashboard_deliveries_changed on dashboard_deliveries (changed_xid, order_id);

-- An order that was refused at once has no customer here and never shows.
create view dashboards as
select o.order_id, o.customer_id, o.product_code, o.size, o.quantity, o.total_krw,
       o.status as order_status, o.reject_reason,
       p.status as payment_status, p.payment_id,
       d.status as delivery_status, d.delivery_id,
       greatest(o.updated_at, p.updated_at, d.updated_at) as updated_at
  from dashboard_orders o
  left join dashboard_payments p on p.order_id = o.order_id
  left join dashboard_deliveries d on d.order_id = o.order_id
 where o.customer_id is not null;

create view dashboard_changes as
select changed_xid, order_id from dashboard_orders
 union all
select changed_xid, order_id from dashboard_payments
 union all
select changed_xid, order_id from dashboard_deliveries;
