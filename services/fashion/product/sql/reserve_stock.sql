-- SPDX-License-Identifier: Apache-2.0
-- One order alone: takes its stock and stores the reservation, or stores the refusal, in one statement; the
-- rule is that of reservation_decide(). No row comes back when the order has a reservation, when the
-- article is unknown, or when the article changed between looking and taking. A repeat that runs beside
-- the first try breaks the primary key, which undoes whatever it took.
with article as (
    select product_id, unit_price_krw,
           case when unit_price_krw * $4::bigint <> $5::bigint then 'TOTAL_MISMATCH'
                when stock < $4 then 'INSUFFICIENT_STOCK' end as refusal
      from products
     where code = $2 and size = $3
       and not exists (select from reservations where order_id = $1)
), taken as (
    update products
       set stock = stock - $4, version = version + 1, updated_at = now()
      from article
     where products.product_id = article.product_id and article.refusal is null
       and products.stock >= $4
       and ($5::bigint is null or products.unit_price_krw * $4 = $5)
    returning products.product_id, products.unit_price_krw
), outcome as (
    select article.product_id, article.refusal,
           coalesce(taken.unit_price_krw, article.unit_price_krw) as unit_price_krw
      from article
      left join taken on taken.product_id = article.product_id
     where article.refusal is not null or taken.product_id is not null
)
insert into reservations (order_id, product_id, code, size, quantity, expected_total_krw,
                          unit_price_krw, total_krw, state, reason)
select $1, product_id, $2, $3, $4, $5, unit_price_krw, unit_price_krw * $4,
       case when refusal is null then 1 else 2 end, coalesce(refusal, '')
  from outcome
returning order_id, product_id, code, size, quantity, expected_total_krw, unit_price_krw, total_krw,
          state, reason;
