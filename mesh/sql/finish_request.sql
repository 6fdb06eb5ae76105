update request_log
   set response = $2
 where request_id = $1;
