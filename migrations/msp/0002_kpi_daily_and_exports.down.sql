drop table msp.exports;
drop table msp.kpi_daily;
