drop table exports;
drop table kpi_daily;
