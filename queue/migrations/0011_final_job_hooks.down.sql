drop function queue.remove_final_hook(regproc);
drop function queue.add_final_hook(text, regproc);
drop function queue.call_final_hook();
