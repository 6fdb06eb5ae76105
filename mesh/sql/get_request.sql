select digest, response
  from request_log
 where request_id = $1;
